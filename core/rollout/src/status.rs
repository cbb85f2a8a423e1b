//! Where a release stands. Status is the truth: everything that can advance or end a rollout is in it, and the
//! projection ([`crate::desired`]) follows from it and the plan alone.

mod check;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serin_route::Weight;

use crate::verdict::Verdict;

pub use check::Unsound;

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
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
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
    /// How far it is.
    pub stage: Stage,
    /// The canary's weight in force.
    pub weight: Weight,
    /// Rises with every change of the filter's entry.
    pub generation: u64,
    /// Fingerprint of the plan's routing in the entry, in 53 bits: when a Canary is edited, the generation rises.
    pub routing: u64,
    /// Index into the schedule; its length when all steps are done.
    pub step: usize,
    /// This step's weight or pause is in force.
    pub entered: bool,
    /// When this step (or this weight, after quarantine) was entered.
    pub step_since: Timestamp,
    /// How far beyond the longest dwell this step is.
    pub dwell: Dwell,
    /// Rounds done (A/B, blue/green).
    pub iterations: u32,
    /// Failed rounds.
    pub failed_checks: u32,
    /// Rounds of hooks and checks begun; numbers the probes.
    pub round: u64,
    /// When the last round began, or the weight changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round_since: Option<Timestamp>,
    /// What came of the last round, since the last weight change.
    pub round_result: RoundResult,
    /// No canary pod is ready: the weight is 0, and this is the one to return to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended: Option<Weight>,
    /// Quarantine, while it lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<Quarantine>,
    /// Quarantine was left once; a second one fails the run.
    pub quarantined_before: bool,
    /// Promote at the next opportunity, by a person's word.
    pub promote: bool,
    /// Post-rollout hooks that are done with.
    pub post_hooks: usize,
    /// The evidence behind the last decision: why and how it ended, or what holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

impl Run {
    /// It ended, one way or the other.
    pub fn is_over(&self) -> bool {
        !matches!(self.stage, Stage::Preparing | Stage::Analysing)
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// The canary is not ready yet, or its pre-rollout hooks have not passed.
    #[default]
    Preparing,
    /// The schedule is under way, or promotion.
    Analysing,
    /// Over; the filters are not all known to show weight 0.
    Ending,
    /// Over, and out of the filters' tables.
    Settled,
    /// Promotion failed: the default route leads to the canary.
    Failover,
}

/// How a step stands to the longest dwell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dwell {
    /// Within it.
    #[default]
    Regular,
    /// It was extended, once, to twice its length.
    Extended,
    /// That has passed too, and the inconclusive policy was to hold: a person decides.
    Expired,
}

/// What came of a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoundResult {
    /// There was none since the last weight change.
    #[default]
    None,
    /// Answers are awaited.
    Open,
    /// Every hook and check passed, on data.
    Passed,
    /// One failed.
    Failed,
    /// None failed, but a check had no data.
    NoData,
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
