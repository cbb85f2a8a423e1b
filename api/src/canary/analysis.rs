//! `spec.analysis`: how a release goes on, and when it goes back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Alert, Evidence, MatchRule, Metric, NamedRoute, SessionAffinity, UserKey, Webhook, is_false,
};
use crate::rules;

/// How a release goes on, and when it goes back. Its schedule is exactly one of `steps`, `stepWeight`, `stepWeights`
/// and `iterations`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::analysis()))]
pub struct Analysis {
    /// Between two rounds of checks, and the least time at each weight (`30s`, `1m`); one minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// Failed rounds that end the release; they add up over the whole run; 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<i64>,
    /// Percent at which `stepWeight` ends; 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_weight: Option<i64>,
    /// Percent by which the weight rises each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_weight: Option<i64>,
    /// The weights themselves, in percent, rising.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub step_weights: Vec<i64>,
    /// Percent by which traffic returns to the primary after promotion; all at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_weight_promotion: Option<i64>,
    /// Rounds of an A/B test (with `match`) or of a blue/green release (without).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iterations: Option<i64>,
    /// Weights and pauses, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<AnalysisStep>,
    /// Only requests that match one of these may meet the canary.
    #[serde(default, rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub matching: Vec<MatchRule>,
    /// Send copies of requests to the canary before any user meets it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub mirror: bool,
    /// Percent of requests that are copied; all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror_weight: Option<i64>,
    /// Percent of the primary's pods that must be ready; 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary_ready_threshold: Option<i64>,
    /// Percent of the canary's pods that must be ready; 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_ready_threshold: Option<i64>,
    /// A cookie that keeps users without a key on their side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_affinity: Option<SessionAffinity>,
    /// Where a user's key is found, in order; who has one stays on one side.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub user_key: Vec<UserKey>,
    /// Routes that are counted and judged apart; at most 16 patterns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<NamedRoute>,
    /// Numbers that are compared with fixed bounds each round.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
    /// Services that are called on the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<Webhook>,
    /// Who is told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<Alert>,
    /// How canary and primary are compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

/// One step: either of its fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::step()))]
pub struct AnalysisStep {
    /// Set the canary's weight, in percent with at most two decimals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_weight: Option<f64>,
    /// Stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
}

/// A stay at one weight.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pause {
    /// How long (`30s`); until a person resumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
}
