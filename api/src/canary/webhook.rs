//! `spec.analysis.webhooks` and `alerts`: who is called, and who is told.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::is_false;

/// A service that is called on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// When it is called and what its answer means; `rollout`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<WebhookKind>,
    /// Its name in messages.
    pub name: String,
    /// Where.
    pub url: String,
    /// No alert when it holds the release.
    #[serde(default, skip_serializing_if = "is_false")]
    pub mute_alert: bool,
    /// For one attempt; 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Sent along.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Attempts beyond the first; 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<i64>,
    /// Accept any certificate.
    #[serde(default, rename = "disableTLS", skip_serializing_if = "is_false")]
    pub disable_tls: bool,
}

/// When a webhook is called and what its answer means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WebhookKind {
    /// As `rollout`.
    #[serde(rename = "")]
    Unset,
    /// Gate before the run.
    ConfirmRollout,
    /// Before the first weight; a failure counts.
    PreRollout,
    /// Each round, before the checks; a failure counts.
    #[default]
    Rollout,
    /// Gate before each weight.
    ConfirmTrafficIncrease,
    /// Gate before promotion.
    ConfirmPromotion,
    /// After the end.
    PostRollout,
    /// Each round; success rolls back.
    Rollback,
    /// On everything that is told.
    Event,
}

/// Who is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// Its name.
    pub name: String,
    /// The least severity that is told; `info`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<AlertSeverity>,
    /// By whom.
    pub provider_ref: AlertProviderRef,
}

/// How much something matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AlertSeverity {
    /// As `info`.
    #[serde(rename = "")]
    Unset,
    /// All.
    #[default]
    Info,
    /// What needs a look.
    Warn,
    /// What failed.
    Error,
}

/// An `AlertProvider`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertProviderRef {
    /// Its name.
    pub name: String,
    /// Its namespace; the Canary's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}
