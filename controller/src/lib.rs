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
//! The shell around them: [`lead`] sees to it that one process acts, and [`run`] is what that one does. Watches wake
//! `reconcile`, which is `observe → plan → step → commit → apply → announce`, each a file; a Canary that is deleted
//! takes the way of `deletion`. For a Canary only `observe`, `commit`, `apply`, `announce`, `deletion` and `guarded`
//! await the network, and `clock` alone knows what time it is.

pub mod admin;
mod announce;
mod apply;
pub mod args;
mod clock;
mod commit;
mod context;
mod decide;
mod deletion;
mod feed;
#[cfg(test)]
mod fixture;
mod flagger;
mod guarded;
pub mod health;
mod history;
pub mod identity;
mod interests;
pub mod istio;
pub mod kind;
pub mod lead;
pub mod leadership;
pub mod lease;
pub mod logs;
pub mod metrics;
pub mod objects;
mod observe;
mod plan;
mod probes;
mod readiness;
mod reconcile;
mod resources;
pub mod rights;
pub mod run;
pub mod scope;
mod scopes;
pub mod shutdown;
mod templates;
mod tokens;
mod wake;
mod watches;
