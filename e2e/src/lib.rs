//! The right side of the architecture on a real Envoy: a bed of Envoy, two upstreams that misbehave on demand and a
//! receiver of reports, all on loopback and on ports of the system's choice.
//!
//! `cargo xtask test --tier envoy` tells the tests where Envoy and the module are.

pub mod bed;
pub mod calls;
pub mod chance;
pub mod children;
pub mod client;
pub mod cpu;
pub mod envoy;
pub mod load;
pub mod modules;
pub mod receiver;
pub mod table;
pub mod totals;
pub mod upstream;
pub mod xds;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// The path in an environment variable that the test command sets.
pub fn given(variable: &str) -> Result<PathBuf> {
    let path = std::env::var_os(variable).map(PathBuf::from).with_context(|| {
        format!("{variable} is not set; run this by `cargo xtask test --tier envoy`")
    })?;
    // Cargo runs tests in their package's directory, people name paths from where they are.
    path.canonicalize().with_context(|| format!("{variable} names {}", path.display()))
}

/// Asks until there is an answer; the error says what was waited for.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> Result<T> {
    let poll = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, poll)
        .await
        .with_context(|| format!("waited {PATIENCE:?} in vain: {what}"))
}
