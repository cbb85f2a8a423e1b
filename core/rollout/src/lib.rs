//! What happens to this release now?
//!
//! One function decides, [`step`]; one function projects, [`desired`]. Both are pure: time, randomness and everything
//! that was seen are arguments; what should be found out, told or waited for are results.

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

pub use book::{Book, Heard, Refused};
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
pub use status::{Dwell, Intent, Phase, Quarantine, RoundResult, Run, Stage, Status};
pub use step::{Step, step};
pub use traffic::{GenerationTraffic, KeyedTraffic, Traffic};
pub use verdict::{Action, Leading, Sample, Verdict, VerdictState};
