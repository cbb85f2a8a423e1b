//! Edges worth telling. Each is sent once, after commit; a crash may lose one, never a decision.

use jiff::Timestamp;
use serde::Serialize;
use serin_route::Weight;

use crate::{Phase, verdict::Verdict};

/// Something happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// When.
    pub at: Timestamp,
    /// What, for machines.
    pub kind: NoticeKind,
    /// How bad.
    pub severity: Severity,
    /// What, for people: Flagger's words where Flagger has them.
    pub message: String,
    /// The phase after it.
    pub phase: Phase,
    /// The canary's weight after it.
    pub weight: Weight,
    /// The evidence behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum NoticeKind {
    /// Ready for a first release.
    Initialized,
    /// A new revision was found; the run begins.
    RunStarted,
    /// A newer revision replaced the one under trial.
    RunRestarted,
    /// A gate is closed.
    GateClosed,
    /// A gate, hook or check passed.
    CheckPassed,
    /// A hook or check failed, or had no data.
    CheckFailed,
    /// The weight rose, or another round is done.
    Advanced,
    /// The weight was cut on early evidence.
    Quarantined,
    /// The weight returned after quarantine.
    Released,
    /// Paused, resumed, extended or waiting: what it waits for.
    Held,
    /// All traffic to primary.
    RolledBack,
    /// Primary becomes the new revision.
    Promoting,
    /// Done.
    Promoted,
    /// Something a person should know (late acknowledgement, no reports, overflow).
    Warning,
}

/// How bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As planned.
    Info,
    /// Look at it.
    Warn,
    /// It failed.
    Error,
}
