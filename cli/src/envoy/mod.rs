//! One Envoy as a child process, configured by files: found, checked, started, told, stopped.
//!
//! What a release means is not known here; [`Projection`] says what Envoy should show, and nothing else.

mod admin;
mod binary;
mod files;
#[cfg(test)]
pub(crate) mod fixture;
mod guard;
mod process;
mod render;
mod update;

pub use admin::Admin;
pub use binary::{Binary, BinaryError, Version};
pub use files::Files;
pub use guard::{GUARD, become_envoy_if_asked};
pub use process::{Launch, Process, ProcessError};
pub use render::{
    Bootstrap, FILTER, ROUTES, Service, TELEMETRY, bootstrap, cluster, endpoints, filter, routes,
};
pub use update::{Projection, Update, updates};
