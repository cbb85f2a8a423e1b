//! What the program `serin` is made of: releases on one Envoy, without a cluster, and what a person asks of a cluster's
//! controller.

pub mod args;
mod bounded;
pub mod clock;
#[cfg(feature = "cluster")]
pub mod cluster;
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
