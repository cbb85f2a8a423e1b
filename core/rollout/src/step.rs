//! The one function that decides.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Notice, Plan, Probe, Seen, Status, Verdict};

/// Evidence so far: bounded, rebuilt from reports if lost. It may be dropped, never invented.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {}

/// A decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The next status; equal to the last where nothing changed.
    pub status: Status,
    /// The next ledger.
    pub ledger: Ledger,
    /// Questions; an answer is expected in a later observation.
    pub wants: Vec<Probe>,
    /// What happened.
    pub notices: Vec<Notice>,
    /// What the evidence says now, decision or not; status keeps only the one behind the last decision.
    pub verdict: Option<Verdict>,
    /// Look again after this time at the latest.
    pub wake: Duration,
}

/// Decides what happens to a release now.
pub fn step(plan: &Plan, status: &Status, ledger: Ledger, seen: &Seen, now: Timestamp) -> Step {
    let _ = (plan, seen, now);
    Step {
        status: status.clone(),
        ledger,
        wants: Vec::new(),
        notices: Vec::new(),
        verdict: None,
        wake: Duration::from_secs(1),
    }
}
