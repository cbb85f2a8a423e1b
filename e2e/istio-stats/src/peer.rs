//! The workload at the other end, as far as a proxy can know it without Istio's metadata exchange.

use crate::{Value, node::Workload};

/// The namespace in an identity of Istio's: `spiffe://cluster.local/ns/NAMESPACE/sa/ACCOUNT`.
pub fn namespace_of(identity: &str) -> Option<&str> {
    let (_, behind) = identity.split_once("/ns/")?;
    behind.split('/').next().filter(|namespace| !namespace.is_empty())
}

/// An endpoint's workload, as istiod writes it: `WORKLOAD;NAMESPACE;SERVICE;REVISION;CLUSTER`. It has neither `app` nor
/// `version`, and an empty part is unknown.
pub fn endpoint(text: &str) -> Workload {
    let mut parts = text.split(';').map(|part| {
        let part = part.trim();
        (!part.is_empty()).then(|| Value::Owned(part.to_owned()))
    });
    let mut next = |unknown: Value| parts.next().flatten().unwrap_or(unknown);
    let none = Workload::default();
    Workload {
        name: next(none.name),
        namespace: next(none.namespace),
        service: next(none.service),
        revision: next(none.revision),
        cluster: next(none.cluster),
        app: none.app,
        version: none.version,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_names_its_namespace() {
        assert_eq!(namespace_of("spiffe://cluster.local/ns/prod/sa/web"), Some("prod"));
        for none in ["", "spiffe://cluster.local", "spiffe://cluster.local/ns/", "prod"] {
            assert_eq!(namespace_of(none), None, "{none}");
        }
    }

    #[test]
    fn an_endpoint_names_its_workload() {
        let workload = endpoint("podinfo-canary;test;podinfo;v2;Kubernetes");
        assert_eq!((&*workload.name, &*workload.namespace), ("podinfo-canary", "test"));
        assert_eq!((&*workload.service, &*workload.revision), ("podinfo", "v2"));
        assert_eq!((&*workload.cluster, &*workload.app), ("Kubernetes", "unknown"));
        assert_eq!(endpoint("web;prod;;;").revision, "latest");
        assert_eq!(endpoint(""), Workload::default());
    }
}
