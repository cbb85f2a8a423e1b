//! The controller.
//!
//! Pure rooms say what should exist in the cluster, and who may say so:
//!
//! ```text
//! Canary ──► Facts ─┐
//! status ─► Desired ┼─► objects::objects  ──► Objects ──► effects, in order
//! cluster ► Observed┘
//! all Canaries' rollouts ──► scope::tables ──► scope::plugin ──► one WasmPlugin for each scope
//! Lease, now ──► lease::next_action
//! ```
//!
//! The shell around them is [`run`]: watches wake `reconcile`, which is `observe → plan → step → commit → apply →
//! announce`, each a file. Only `observe`, `commit`, `apply` and `announce` await the network, and `clock` alone knows
//! what time it is.

mod announce;
mod apply;
pub mod args;
mod clock;
mod commit;
mod context;
mod decide;
#[cfg(test)]
mod fixture;
mod history;
pub mod identity;
mod interests;
pub mod istio;
pub mod kind;
pub mod lease;
pub mod logs;
pub mod objects;
mod observe;
mod plan;
mod readiness;
mod reconcile;
mod resources;
pub mod rights;
pub mod run;
pub mod scope;
pub mod shutdown;
