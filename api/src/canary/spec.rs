//! `spec`: what is released, and the objects around it.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Analysis, Callers, CanaryStatus, Service, is_false};
use crate::rules;

/// What is released, how it is reached and how it is judged.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "serin.dev",
    version = "v1beta1",
    kind = "Canary",
    root = "Definition",
    plural = "canaries",
    shortname = "cnr",
    namespaced,
    category = "all",
    status = "CanaryStatus",
    doc = "A release of one workload: a few users first, then all of them, or back."
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::spec()))]
pub struct CanarySpec {
    /// The mesh; `istio`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Base address of the Prometheus that answers inline queries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics_server: Option<String>,
    /// The workload under release.
    pub target_ref: TargetRef,
    /// Its autoscaler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaler_ref: Option<AutoscalerRef>,
    /// An Ingress; without meaning on Istio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress_ref: Option<TargetRef>,
    /// A route; without meaning on Istio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route_ref: Option<TargetRef>,
    /// An upstream; without meaning on Istio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_ref: Option<UpstreamRef>,
    /// Seconds that the workload may take to become ready; 600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_deadline_seconds: Option<i64>,
    /// Promote without analysis as soon as the canary is ready.
    #[serde(default, skip_serializing_if = "is_false")]
    pub skip_analysis: bool,
    /// Give the target its pods back when this object is deleted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub revert_on_deletion: bool,
    /// Leave everything as it is.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,
    /// How the workload is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
    /// Who takes part in the release beside the workload's own namespace and its gateways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callers: Option<Callers>,
    /// How the release goes on, and when it goes back.
    pub analysis: Analysis,
}

/// An object in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetRef {
    /// Its API version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// Its kind.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// An object in any namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpstreamRef {
    /// Its API version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// Its kind.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace; the Canary's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// The target's autoscaler.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutoscalerRef {
    /// Its API version; any, the newest is used.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// `HorizontalPodAutoscaler` or `ScaledObject`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Queries of the primary's `ScaledObject`, by trigger.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub primary_scaler_queries: BTreeMap<String, String>,
    /// Replicas of the primary, where they differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary_scaler_replicas: Option<ScalerReplicas>,
}

/// Bounds of an autoscaler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::scaler_replicas()))]
pub struct ScalerReplicas {
    /// At least; 1 or more.
    #[schemars(range(min = 1))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_replicas: Option<i32>,
    /// At most; 1 or more.
    #[schemars(range(min = 1))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_replicas: Option<i32>,
}
