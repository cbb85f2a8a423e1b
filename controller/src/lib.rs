//! The controller's pure rooms: what should exist in the cluster, and who may say so.
//!
//! ```text
//! Canary ──► Facts ─┐
//! status ─► Desired ┼─► objects::objects  ──► Objects ──► effects, in order
//! cluster ► Observed┘
//! all Canaries' rollouts ──► scope::tables ──► scope::plugin ──► one WasmPlugin for each scope
//! Lease, now ──► lease::next_action
//! ```
//!
//! Nothing here performs I/O or reads a clock. The shell around it is `observe → plan → step → commit → apply →
//! announce`; what it applies is made here, always all of it.

#[cfg(test)]
mod fixture;
pub mod identity;
pub mod istio;
pub mod kind;
pub mod lease;
pub mod objects;
pub mod scope;
