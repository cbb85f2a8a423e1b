//! Finds out what a step wants to know: calls webhooks, asks Prometheus. Bounded in number, size and time, and
//! never in the way of a decision: answers are picked up when they are there.
//!
//! A [`Network`] is shared by all releases of a process. Each release has a [`Prober`], which asks and hands in
//! answers, and [`Events`], which tells and waits for nothing. Where credentials come from is their shell's
//! business.

mod access;
mod events;
mod hook;
mod network;
mod prober;
mod prometheus;
mod question;
mod url;

pub use access::{Access, Login};
pub use events::Events;
pub use network::{Network, NetworkError};
pub use prober::Prober;
pub use question::{Question, unreachable};
