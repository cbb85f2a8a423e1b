//! `MetricTemplate`: a query that several Canaries share.

use std::collections::BTreeMap;

use kube::CustomResource;
use kube::core::ObjectMeta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::grouped::{Wire, namespace, resource};
use crate::rules;
use crate::{Group, keys};

/// A query that several Canaries share; of either group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Wire<MetricTemplateSpec>", into = "Wire<MetricTemplateSpec>")]
pub struct MetricTemplate {
    /// The group it was read from.
    pub group: Group,
    /// Name, namespace and the rest.
    pub metadata: ObjectMeta,
    /// What it asks, and whom.
    pub spec: MetricTemplateSpec,
}

/// What a template asks, and whom.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "serin.dev",
    version = "v1beta1",
    kind = "MetricTemplate",
    root = "Definition",
    plural = "metrictemplates",
    shortname = "mt",
    namespaced,
    category = "all",
    doc = "A query that several Canaries share.",
    printcolumn(name = "Provider", type_ = "string", json_path = ".spec.provider.type")
)]
#[serde(rename_all = "camelCase")]
pub struct MetricTemplateSpec {
    /// Who answers.
    pub provider: Provider,
    /// The query. `{{ name }}`, `{{ namespace }}`, `{{ target }}`, `{{ service }}`, `{{ interval }}` and
    /// `{{ variables.KEY }}` are replaced.
    pub query: String,
}

/// Who answers a query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::provider()))]
pub struct Provider {
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: ProviderKind,
    /// Its base address; a path prefix is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Sent with each query.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Vec<String>>,
    /// Credentials, from a Secret in the template's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// The region, for `CloudWatch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Accept any certificate.
    #[serde(default, skip_serializing_if = "crate::canary::is_false")]
    pub insecure_skip_verify: bool,
}

/// The kinds of provider.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// Prometheus, or what speaks its query language.
    #[default]
    Prometheus,
    /// `InfluxDB`.
    InfluxDb,
    /// Datadog.
    Datadog,
    /// Kubernetes' external metrics API.
    ExternalMetrics,
    /// Google Cloud Monitoring.
    Stackdriver,
    /// Amazon `CloudWatch`.
    CloudWatch,
    /// New Relic.
    NewRelic,
    /// Graphite.
    Graphite,
    /// Dynatrace.
    Dynatrace,
    /// Keptn.
    Keptn,
    /// Splunk.
    Splunk,
}

/// A Secret by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretRef {
    /// Its name.
    pub name: String,
}

impl MetricTemplate {
    /// Its name; empty if it has none.
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// Its namespace, or the default one.
    pub fn namespace(&self) -> &str {
        namespace(&self.metadata)
    }
}

resource!(MetricTemplate, keys::METRIC_TEMPLATE, keys::METRIC_TEMPLATES);

impl TryFrom<Wire<MetricTemplateSpec>> for MetricTemplate {
    type Error = String;

    fn try_from(wire: Wire<MetricTemplateSpec>) -> Result<Self, String> {
        let (group, metadata, spec) = wire.open(keys::METRIC_TEMPLATE)?;
        Ok(Self { group, metadata, spec })
    }
}

impl From<MetricTemplate> for Wire<MetricTemplateSpec> {
    fn from(template: MetricTemplate) -> Self {
        Self::new(template.group, keys::METRIC_TEMPLATE, template.metadata, template.spec)
    }
}
