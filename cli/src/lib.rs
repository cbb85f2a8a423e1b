//! Releases on one Envoy, without a cluster: what the program `serin` is made of.

pub mod args;
mod bounded;
pub mod clock;
pub mod demo;
pub mod envoy;
mod failure;
mod http;
pub mod interrupt;
pub mod local;
pub mod output;
pub mod receiver;
pub mod recording;
pub mod report;
mod tools;
