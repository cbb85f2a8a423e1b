//! A verdict and the evidence for it, as people and machines read it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serin_stats::Interval;

/// What the evidence says now. Every decision carries one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Pass, Fail or neither.
    pub state: VerdictState,
    /// What follows from it.
    pub action: Action,
    /// Why, in one word for machines (`ErrorRate`, `Latency`, `ThresholdReached`, `Aborted`, `NoTraffic` …).
    pub reason: String,
    /// The combined evidence against the canary, ln E; quarantine at `ln(1/alpha_quarantine)`.
    pub ln_e: f64,
    /// The same with bounded influence per block; rollback at `ln(1/alpha_rollback)`.
    pub ln_e_capped: f64,
    /// What leads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leading: Option<Leading>,
    /// The canary's bad events in the leading respect (errors where nothing leads), of randomised requests.
    pub canary: Sample,
    /// Primary's in the same respect.
    pub primary: Sample,
    /// Odds ratio canary to primary, 95 % interval valid at any time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub odds_ratio: Option<Interval>,
    /// Blocks that contributed.
    pub blocks: u32,
    /// What is still missing for an advance, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<String>,
    /// One line for people: what was seen, what was concluded, what it waits for.
    pub text: String,
    /// When.
    pub at: Timestamp,
}

/// Pass, Fail or neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VerdictState {
    /// Good enough to advance.
    Pass,
    /// Bad enough to roll back.
    Fail,
    /// Not enough known.
    Inconclusive,
}

/// What follows from a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Take the next step.
    Advance,
    /// Keep the weight.
    Hold,
    /// Cut the weight, keep watching.
    Quarantine,
    /// Return to primary.
    Rollback,
}

/// The strongest process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Leading {
    /// `errors`, `latency` or `resets`.
    pub metric: String,
    /// The route, where one leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The latency edge in milliseconds, where one leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edge_ms: Option<u32>,
}

/// Bad ones among exposed ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// Exposed.
    pub exposed: u64,
    /// Bad.
    pub bad: u64,
    /// The rate with its interval at 95 %, valid at any time.
    pub rate: Option<Interval>,
}
