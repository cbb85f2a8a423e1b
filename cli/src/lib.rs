//! Releases on one Envoy, without a cluster: what the program `serin` is made of.

pub mod envoy;
mod http;
