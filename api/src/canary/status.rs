//! `status`: Flagger's fields, as its users' scripts read them, and ours beside them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serin_rollout::Phase;

use super::Verbatim;

/// Where a release stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CanaryStatus {
    /// One word.
    #[serde(skip_serializing_if = "CanaryPhase::is_unset")]
    pub phase: CanaryPhase,
    /// Failed rounds of this run.
    pub failed_checks: i64,
    /// The canary's weight in percent; whole, and 0 only if it has no traffic.
    pub canary_weight: i64,
    /// Rounds done.
    pub iterations: i64,
    /// The cookie of Flagger's run before this one; not used here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_session_affinity_cookie: Option<String>,
    /// The cookie of Flagger's run; not used here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_affinity_cookie: Option<String>,
    /// The primary's cookie of Flagger's run; not used here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_session_affinity_cookie: Option<String>,
    /// Checksums of `ConfigMaps` and Secrets, by `configmap/NAME` and `secret/NAME`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tracked_configs: BTreeMap<String, String>,
    /// The revision that was tried last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_applied_spec: Option<String>,
    /// The revision that was promoted last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_promoted_spec: Option<String>,
    /// The change fence of Flagger's target; not used here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_tracked_revision: Option<String>,
    /// When any of the fields above changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub last_transition_time: Option<String>,
    /// `Promoted`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Ours: everything that the next decision needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serin: Option<SerinStatus>,
}

/// Flagger's phases.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum CanaryPhase {
    /// Not seen yet.
    #[default]
    #[serde(rename = "")]
    Unset,
    /// Nothing exists yet.
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
    /// Being deleted; the target gets its pods back.
    Terminating,
    /// Deleted.
    Terminated,
}

/// A condition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Its name.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// When this was seen last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub last_update_time: Option<String>,
    /// When the status changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub last_transition_time: Option<String>,
    /// One word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What Flagger's fields have no place for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SerinStatus {
    /// Where the release stands, with its evidence; Flagger's fields follow from it. Read by
    /// [`CanaryStatus::rollout`]: whatever stands here, the object around it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Verbatim>,
    /// What is wrong with the Canary; nothing is done for it until that is right.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<StatusProblem>,
    /// While a run is in the filters' tables: who reports of it. The numbers are those of the last write.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<StatusScope>,
}

/// The proxies that are given the same table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusScope {
    /// `namespace/NAME`, `gateway/SELECTOR` or `mesh`.
    pub name: String,
    /// How many of them report.
    #[serde(default)]
    pub reporting: i64,
}

/// One thing that is wrong with a Canary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusProblem {
    /// The field, or none for the whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// The rule and the value that breaks it.
    pub message: String,
}

impl CanaryPhase {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unset => "",
            Self::Initializing => "Initializing",
            Self::Initialized => "Initialized",
            Self::Waiting => "Waiting",
            Self::Progressing => "Progressing",
            Self::WaitingPromotion => "WaitingPromotion",
            Self::Promoting => "Promoting",
            Self::Finalising => "Finalising",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Terminating => "Terminating",
            Self::Terminated => "Terminated",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    fn is_unset(&self) -> bool {
        *self == Self::Unset
    }
}

impl From<Phase> for CanaryPhase {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Initializing => Self::Initializing,
            Phase::Initialized => Self::Initialized,
            Phase::Waiting => Self::Waiting,
            Phase::Progressing => Self::Progressing,
            Phase::WaitingPromotion => Self::WaitingPromotion,
            Phase::Promoting => Self::Promoting,
            Phase::Finalising => Self::Finalising,
            Phase::Succeeded => Self::Succeeded,
            Phase::Failed => Self::Failed,
        }
    }
}
