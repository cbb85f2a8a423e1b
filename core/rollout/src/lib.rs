//! What happens to this release now?
//!
//! One function decides, [`step()`]; one function projects, [`desired()`]. Both are pure: time, randomness and
//! everything that was seen are arguments; what should be found out, told or waited for are results. [`Book`] adds up
//! the filters' reports for them.
//!
//! A release's life: a new revision begins a [`Run`]; its weight follows the [`Schedule`], as long as every round of
//! hooks and checks passes; evidence may cut the weight ([`Quarantine`]) or end the run at any time; after the last
//! step primary becomes the new revision, and traffic returns to it.
//!
//! ```
//! use serin_rollout::{Ledger, Phase, Plan, Seen, Status, desired, step};
//!
//! fn reconcile(plan: &Plan, status: Status, ledger: Ledger, seen: &Seen, now: jiff::Timestamp) {
//!     let step = step(plan, &status, ledger, seen, now);
//!     // Commit `step.status`, then apply its projection, then tell `step.notices` and answer `step.wants`; observe
//!     // again when something happens, or after `step.wake`.
//!     let world = desired(plan, &step.status);
//!     assert!(step.status.phase != Phase::Failed || !world.canary_route || world.canary_runs);
//! }
//! ```

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable)]
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test"))]

mod book;
mod clock;
mod desired;
mod evidence;
mod fingerprint;
#[cfg(test)]
mod fixture;
mod notice;
mod plan;
mod seen;
mod status;
mod step;
mod traffic;
mod verdict;

pub use book::{Book, Heard, Missing, Refused};
pub use desired::{Desired, desired};
pub use evidence::Ledger;
pub use notice::{Notice, NoticeKind, Severity};
pub use plan::{
    AdvanceGate, Check, CheckSource, Evidence, Hook, HookKind, Mode, Objective, OnInconclusive,
    Plan, QuarantineWeight, Routing, Schedule, ScheduleStep,
};
pub use seen::{
    Acknowledged, Answer, HookPayload, Probe, Projection, Readiness, Seen, Value, Workloads,
};
pub use status::{Dwell, Intent, Phase, Quarantine, RoundResult, Run, Stage, Status, Unsound};
pub use step::{Step, step};
pub use traffic::{GenerationTraffic, KeyedTraffic, Traffic};
pub use verdict::{Action, Leading, Sample, Verdict, VerdictState};
