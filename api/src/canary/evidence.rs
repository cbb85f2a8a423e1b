//! `spec.analysis.evidence`: how canary and primary are compared. Ours, without a counterpart in Flagger.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rules;

/// How canary and primary are compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::evidence()))]
pub struct Evidence {
    /// Whether a verdict acts; `enforce`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Probability of a false quarantine, at most; 0.05.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha_quarantine: Option<f64>,
    /// Probability of a false rollback, at most; 0.001.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha_rollback: Option<f64>,
    /// Probability of a false pass, at most; 0.05.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha_pass: Option<f64>,
    /// Odds of failure, canary to primary, that are tolerated; 1.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<f64>,
    /// Percent of failed requests below which nothing is convicted; 0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_floor: Option<f64>,
    /// Percent of slow requests below which nothing is convicted; 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_floor: Option<f64>,
    /// The time from which no more than a bounded amount of evidence counts; 10s, or 30s with one pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<String>,
    /// The time after the canary's first request in which its latency does not count; 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_warmup: Option<String>,
    /// What the service promises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objectives: Option<Objectives>,
    /// What an advance needs beside its interval and the checks; `pass` with objectives, else `traffic`;
    /// `checks` for a `flagger.app` Canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// The longest time at one weight; 10m, or three intervals if they take longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_dwell: Option<String>,
    /// What follows when that passes without a verdict; `hold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_inconclusive: Option<OnInconclusive>,
    /// What early evidence does to the weight; `floor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<Quarantine>,
}

/// What a service promises.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::objectives()))]
pub struct Objectives {
    /// At most so many percent of requests fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<f64>,
    /// How quick it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latency: Vec<LatencyObjective>,
}

/// A percentile of latency is below a threshold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LatencyObjective {
    /// The threshold, in whole milliseconds (`500ms`).
    pub threshold: String,
    /// The percentile (`99`, `99.9`).
    pub percentile: f64,
}

/// Whether a verdict acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It quarantines and rolls back.
    Enforce,
    /// It is only told.
    Observe,
}

/// What an advance needs beside its interval and the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Gate {
    /// Nothing more.
    Checks,
    /// Requests that the canary has served at this weight.
    Traffic,
    /// As `traffic`, and evidence that every objective is met.
    Pass,
}

/// What follows when the longest dwell passes without a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnInconclusive {
    /// Stay, and tell a person.
    Hold,
    /// Go on all the same.
    Promote,
    /// Go back.
    Rollback,
}

/// What early evidence does to the weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Quarantine {
    /// Lower it to what still decides: 1 %, or 5 requests per second.
    Floor,
    /// Take all traffic away.
    Zero,
    /// Leave it, and say so.
    Keep,
}
