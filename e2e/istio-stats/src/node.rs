//! The workload that the proxy belongs to, as istiod wrote it into the proxy's bootstrap.

use crate::{Properties, UNKNOWN, Value};

/// A workload's names. What is not known is `unknown`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// The Deployment's name, usually.
    pub name: Value,
    /// Its namespace.
    pub namespace: Value,
    /// The pod's label `app`.
    pub app: Value,
    /// The pod's label `version`.
    pub version: Value,
    /// The canonical service.
    pub service: Value,
    /// Its revision.
    pub revision: Value,
    /// The Kubernetes cluster.
    pub cluster: Value,
}

impl Default for Workload {
    /// Nothing is known, and as in Istio a revision that is not named is the latest.
    fn default() -> Self {
        let unknown = || Value::Borrowed(UNKNOWN);
        Self {
            name: unknown(),
            namespace: unknown(),
            app: unknown(),
            version: unknown(),
            service: unknown(),
            revision: Value::Borrowed("latest"),
            cluster: unknown(),
        }
    }
}

impl Workload {
    /// The proxy's own.
    pub fn own(properties: &impl Properties) -> Self {
        let metadata = |path: &[&str]| {
            properties.text(&[&["xds", "node", "metadata"][..], path].concat()).map(Value::Owned)
        };
        let label = |name: &str| metadata(&["LABELS", name]);
        let none = Self::default();
        let name = metadata(&["WORKLOAD_NAME"]);
        let app = label("app");
        // The order in which istiod looks for it.
        let service = label("service.istio.io/canonical-name")
            .or_else(|| label("app.kubernetes.io/name"))
            .or_else(|| app.clone())
            .or_else(|| name.clone());
        let version = label("version");
        let revision = label("service.istio.io/canonical-revision")
            .or_else(|| label("app.kubernetes.io/version"))
            .or_else(|| version.clone());
        Self {
            name: name.unwrap_or(none.name),
            namespace: metadata(&["NAMESPACE"]).unwrap_or(none.namespace),
            app: app.unwrap_or(none.app),
            version: version.unwrap_or(none.version),
            service: service.unwrap_or(none.service),
            revision: revision.unwrap_or(none.revision),
            cluster: metadata(&["CLUSTER_ID"]).unwrap_or(none.cluster),
        }
    }
}
