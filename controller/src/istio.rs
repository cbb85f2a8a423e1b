//! The parts of Istio's objects that are ours to write.
//!
//! Written here rather than taken from a crate: those that exist lag behind kube, and carry every field of every
//! kind. What a Canary's author hands through to Istio (`match`, `retries`, `corsPolicy` …) stays the JSON it was,
//! so that a field which is newer than this code is not lost. Objects travel as [`kube::core::DynamicObject`] for
//! the same reason: server-side apply must send the fields that we own and no others.

use serde::Serialize;
use serde_json::{Map, Value};

/// Part of someone else's object, as it stands.
pub type Fields = Map<String, Value>;

/// `spec` of a `DestinationRule`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DestinationRule {
    /// The service.
    pub host: String,
    /// Istio's `TrafficPolicy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic_policy: Option<Fields>,
}

/// `spec` of a `VirtualService`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VirtualService {
    /// Whom clients call; none in a delegate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Where it applies; none in a delegate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<String>,
    /// The first that matches is taken.
    pub http: Vec<HttpRoute>,
}

/// `HTTPRoute`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRoute {
    /// Ours, `serin/NAME.NAMESPACE/KIND`: the filter reads it.
    pub name: String,
    /// One of these must hold; none always holds.
    #[serde(rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub matching: Vec<Fields>,
    /// Where it leads.
    pub route: Vec<RouteDestination>,
    /// What the author asked for, by Istio's names: `rewrite`, `timeout`, `retries`, `headers`, `corsPolicy`.
    #[serde(flatten)]
    pub given: Fields,
}

/// `HTTPRouteDestination`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RouteDestination {
    /// The service.
    pub destination: Destination,
    /// Its share, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u16>,
    /// The steering header ends here.
    pub headers: Headers,
}

/// `Destination`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Destination {
    /// The service's name.
    pub host: String,
    /// Its port, where Istio cannot know which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
}

/// `PortSelector`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Port {
    /// Its number.
    pub number: i32,
}

/// `Headers`, as far as we use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Headers {
    /// Of requests.
    pub request: HeaderOperations,
}

/// `HeaderOperations`, as far as we use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeaderOperations {
    /// Names of headers that are removed.
    pub remove: Vec<String>,
}

/// `spec` of a `WasmPlugin`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WasmPlugin {
    /// The pods; all of the namespace without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
    /// The module, by digest.
    pub url: String,
    /// Secret of the module's registry, in the plugin's namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_secret: Option<String>,
    /// Becomes Envoy's root id.
    pub plugin_name: String,
    /// Where in the chain.
    pub phase: &'static str,
    /// Higher runs first.
    pub priority: i32,
    /// What happens if the module fails.
    pub fail_strategy: &'static str,
    /// Which side of a connection.
    #[serde(rename = "match")]
    pub matching: Vec<TrafficSelector>,
    /// The table.
    pub plugin_config: Value,
}

/// `WorkloadSelector`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// All must be there.
    pub match_labels: std::collections::BTreeMap<String, String>,
}

/// `WasmPlugin.TrafficSelector`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TrafficSelector {
    /// `CLIENT` or `SERVER`.
    pub mode: &'static str,
}

/// The JSON of one of the types above.
pub(crate) fn json(of: &impl Serialize) -> Value {
    // Text keys and plain values only: there is nothing in them that JSON cannot say.
    serde_json::to_value(of).unwrap_or_default()
}
