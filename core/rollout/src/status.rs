//! Where a release stands. Status is the truth: everything that can advance or end a rollout is in it, and the
//! projection ([`crate::desired`]) follows from it and the plan alone.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serin_route::Weight;

use crate::verdict::Verdict;

/// Where a release stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// One word.
    pub phase: Phase,
    /// The run under way, or the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
    /// The revision that was promoted last; the target's first revision counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promoted_revision: Option<String>,
    /// The revision that was tried last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tried_revision: Option<String>,
    /// When the phase was entered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// A person asked for a pause.
    pub paused: bool,
}

/// Flagger's phases, spelled as there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Phase {
    /// Nothing exists yet.
    #[default]
    Initializing,
    /// Ready for a first release.
    Initialized,
    /// A new revision waits at the confirm-rollout gate.
    Waiting,
    /// The canary has traffic, or is about to.
    Progressing,
    /// The analysis is done; the confirm-promotion gate is closed.
    WaitingPromotion,
    /// Primary becomes the new revision.
    Promoting,
    /// Traffic returns to primary, which is the new revision by now.
    Finalising,
    /// Promoted.
    Succeeded,
    /// Rolled back.
    Failed,
}

/// One run: from a new revision until promotion or rollback.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Identity, 16 hexadecimal digits.
    pub id: String,
    /// Bucket key, 32 hexadecimal digits.
    pub salt: String,
    /// Steering header's value, 16 hexadecimal digits.
    pub nonce: String,
    /// The revision under trial.
    pub revision: String,
    /// When it began.
    pub started: Timestamp,
    /// The canary's weight in force.
    pub weight: Weight,
    /// Rises with every change of the filter's entry.
    pub generation: u64,
    /// Index into the schedule; its length when all steps are done.
    pub step: usize,
    /// When this step (or this weight, after quarantine) was entered.
    pub step_since: Timestamp,
    /// Rounds done (A/B, blue/green).
    pub iterations: u32,
    /// Failed rounds.
    pub failed_checks: u32,
    /// Rounds of checks begun; numbers the probes.
    pub round: u64,
    /// When the last round began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round_since: Option<Timestamp>,
    /// The round in which every hook and check passed on data, since the last weight change.
    pub passed: bool,
    /// Quarantine, while it lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<Quarantine>,
    /// Quarantine was left once; a second one fails the run.
    pub quarantined_before: bool,
    /// The longest dwell was extended already at this step.
    pub extended: bool,
    /// Promote at the next opportunity, by a person's word.
    pub promote: bool,
    /// Why and how it ended, or what holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// A run's weight was cut on early evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quarantine {
    /// Since when.
    pub since: Timestamp,
    /// The weight to return to.
    pub resume: Weight,
    /// The highest evidence since (ln E), and when it last rose.
    pub peak: f64,
    /// When it last rose.
    pub peak_at: Timestamp,
}

/// What a person wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Intent {
    /// Hold the weight; evidence may still roll back.
    Pause,
    /// Go on.
    Resume,
    /// Roll back now.
    Abort,
    /// Skip the rest of the schedule.
    Promote,
    /// Try the failed revision again.
    Retry,
}
