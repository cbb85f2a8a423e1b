//! The filter in real sidecars and at a real ingress gateway: what the tests of a mesh are made of.
//!
//! `cargo xtask test --tier cluster` brings a cluster up and tells the tests where it is; with `--context NAME` they
//! run on any cluster with Istio. Everything that they make is in namespaces of one test of one run, which are removed,
//! or carries the run's label beside the gateway. docs/existing-cluster.md says what they need and what they make.

pub mod absence;
pub mod accesslog;
pub mod apply;
pub mod company;
pub mod diagnosis;
pub mod envoy;
pub mod forward;
pub mod load;
pub mod mesh;
pub mod plugin;
pub mod prometheus;
pub mod release;
pub mod reports;
pub mod settings;
pub mod space;
pub mod stage;
pub mod telemetry;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Longer than a pod takes to start on a machine of two cores that has as much else to do again, and pulls no image.
pub const PATIENCE: Duration = Duration::from_mins(3);

/// Asks until there is an answer, for as long as [`PATIENCE`]; the error says what was waited for, and what stood in
/// the way last.
pub async fn eventually<T>(
    what: &str,
    mut ask: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let began = Instant::now();
    loop {
        let answer = ask().await;
        if let Ok(Some(answer)) = answer {
            return Ok(answer);
        }
        if began.elapsed() > PATIENCE {
            answer.with_context(|| format!("waited {PATIENCE:?} in vain: {what}"))?;
            anyhow::bail!("waited {PATIENCE:?} in vain: {what}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Says that a test was left out, and why, in words that `cargo xtask test` finds.
#[expect(clippy::print_stderr, reason = "a line of a form of its own")]
pub fn left_out(test: &str, why: &str) {
    eprintln!("LEFT OUT: {test}: {why}");
}

/// A line for whoever reads a test's output.
#[expect(clippy::print_stderr, reason = "the one place where the tests of the mesh talk to people")]
pub fn say(line: &str) {
    eprintln!("mesh: {line}");
}
