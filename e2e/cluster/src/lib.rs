//! A real Kubernetes with a real Istio on one machine: one node in a network namespace of its own, without Docker and
//! without a route to anywhere. And, far lighter, an API server alone for tests that need no pods.
//!
//! What runs is recorded below `/run/serin-cluster`, what was built once is kept in [`cache::dir`].

pub mod access;
pub mod apiserver;
pub mod cache;
pub mod cargo;
mod cgroup;
pub mod cluster;
pub mod command;
mod control_plane;
pub mod forward;
mod http;
pub mod images;
pub mod install;
mod kubeconfig;
mod leftovers;
mod lock;
mod machine;
pub mod mesh;
mod netns;
mod node;
mod part;
mod pki;
pub mod place;
mod process;
pub mod programs;
pub mod registry;
pub mod say;
mod store;
