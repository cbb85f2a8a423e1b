//! One release on one Envoy: `observe → plan → step → commit → apply → announce`, again and again until it is
//! promoted or rolled back. The decisions are `serin_rollout`'s; this is its eyes and hands.

mod addresses;
mod announce;
mod apply;
pub mod command;
mod commit;
mod engine;
mod health;
pub(crate) mod input;
mod intents;
mod observe;
mod outcome;
mod readiness;
mod run_directory;
mod state;
mod world;

use std::net::SocketAddr;

use serin_rollout::Plan;

pub use engine::{Engine, EngineError};
pub use outcome::{Ending, Outcome};
pub use state::{Kept, StateError, StateFile};
pub use world::{Setup, World, WorldError};

/// A release to be carried out.
#[derive(Clone, Debug)]
pub struct Release {
    /// What its author asked for.
    pub plan: Plan,
    /// What the canary runs.
    pub revision: String,
    /// What primary runs.
    pub primary_revision: String,
    /// Primary's addresses.
    pub primary: Vec<SocketAddr>,
    /// The canary's addresses.
    pub canary: Vec<SocketAddr>,
}
