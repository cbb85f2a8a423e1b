//! `spec.callers`: whose proxies take part. Ours, without a counterpart in Flagger.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who takes part in the release beside the workload's own namespace and its gateways.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Callers {
    /// Further namespaces whose pods call the workload.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// What everybody else meets; `primary`, and `weights` for a `flagger.app` Canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unscoped: Option<Unscoped>,
}

/// What callers meet whose proxies do not take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unscoped {
    /// Either track by the mesh's own weights: neither sticky nor counted.
    Weights,
    /// Primary.
    Primary,
}
