//! `spec.service`: how the workload is reached. What Istio understands better than we do passes through as it stands.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::is_false;
use crate::rules;

/// How the workload is reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::service()))]
pub struct Service {
    /// The name that clients call; the target's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The port that clients call.
    #[schemars(range(min = 1, max = 65_535))]
    pub port: i32,
    /// Its name, which tells Istio the protocol; `http`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_name: Option<String>,
    /// The container's port, by number or name; the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_port: Option<IntOrString>,
    /// The protocol, where the port's name does not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_protocol: Option<String>,
    /// `PreferClose`, `PreferSameZone` or `PreferSameNode`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic_distribution: Option<String>,
    /// Add the ports of the other containers.
    #[serde(default, skip_serializing_if = "is_false")]
    pub port_discovery: bool,
    /// No cluster IP.
    #[serde(default, skip_serializing_if = "is_false")]
    pub headless: bool,
    /// For a request and its retries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// For one try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_timeout: Option<String>,
    /// Istio gateways; `mesh` if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<String>,
    /// Gateway API parents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateway_refs: Vec<Verbatim>,
    /// Hosts beside the apex name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The `VirtualService` is a delegate of another.
    #[serde(default, skip_serializing_if = "is_false")]
    pub delegation: bool,
    /// Istio's `TrafficPolicy`, for both tracks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic_policy: Option<Verbatim>,
    /// Istio's `HTTPMatchRequests`.
    #[serde(default, rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub matching: Vec<Verbatim>,
    /// Istio's `HTTPRewrite`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<Verbatim>,
    /// Istio's `HTTPRetry`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Verbatim>,
    /// Istio's Headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<Verbatim>,
    /// Gateway API's mirror filters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirror: Vec<Verbatim>,
    /// Istio's `CorsPolicy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors_policy: Option<Verbatim>,
    /// Labels and annotations of the apex Service and of the `VirtualService`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apex: Option<Metadata>,
    /// Labels and annotations of the primary's Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<Metadata>,
    /// Labels and annotations of the canary's Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Metadata>,
    /// Keys on our Services that are others' to write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmanaged_metadata: Option<UnmanagedMetadata>,
    /// App Mesh; without meaning on Istio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh_name: Option<String>,
    /// App Mesh; without meaning on Istio.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backends: Vec<String>,
}

/// Labels and annotations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Metadata {
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Keys of labels and annotations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnmanagedMetadata {
    /// Of labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Of annotations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<String>,
}

/// An object of someone else's API, passed through as it stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Verbatim(pub Map<String, Value>);

impl JsonSchema for Verbatim {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Verbatim".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
    }
}
