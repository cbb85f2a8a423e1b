//! What the controller asks of the API server, and so must be allowed. `deploy/base/rights.yaml` allows exactly this; a
//! test compares them.

use std::collections::BTreeSet;

use serin_api::{Group, keys};

use crate::kind::Kind;

/// That one verb may be used on one resource, of one name or of any.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// The API group.
    pub group: String,
    /// The plural, with a slash before a subresource.
    pub resource: String,
    /// The only one of that resource.
    pub name: Option<String>,
    /// What is done.
    pub verb: &'static str,
}

/// Server-side apply is a patch, and a creation where there is nothing yet.
const WRITES: [&str; 6] = ["create", "delete", "get", "list", "patch", "watch"];
const READS: [&str; 3] = ["get", "list", "watch"];

/// In all namespaces.
pub fn everywhere() -> BTreeSet<Right> {
    let mut rights = Rights::default();
    for group in [Group::Serin, Group::Flagger].map(Group::name) {
        rights.allow(group, keys::CANARIES, &READS);
        // A wish is taken off, and the finalizer put on.
        rights.allow(group, keys::CANARIES, &["patch"]);
        rights.allow(group, &format!("{}/status", keys::CANARIES), &["update"]);
        // Who makes objects whose owner cannot go before them must be able to let the owner go.
        rights.allow(group, &format!("{}/finalizers", keys::CANARIES), &["update"]);
        rights.allow(group, keys::METRIC_TEMPLATES, &READS);
    }
    for resource in Kind::ALL.map(Kind::resource) {
        rights.allow(&resource.group, &resource.plural, &WRITES);
    }
    rights.allow("apps", "replicasets", &["list"]);
    rights.allow("networking.istio.io", "gateways", &READS);
    rights.allow("events.k8s.io", "events", &["create"]);
    rights.0
}

/// In its own namespace: the Lease, and the leader's mark on its pod.
pub fn at_home() -> BTreeSet<Right> {
    let mut rights = Rights::default();
    let lease = "coordination.k8s.io";
    // What does not exist yet has no name to be allowed by.
    rights.allow(lease, "leases", &["create"]);
    rights.allow_one(lease, "leases", keys::LEASE, &["get", "list", "update", "watch"]);
    rights.allow("", "pods", &["patch"]);
    rights.0
}

#[derive(Default)]
struct Rights(BTreeSet<Right>);

impl Rights {
    fn allow(&mut self, group: &str, resource: &str, verbs: &[&'static str]) {
        self.add(group, resource, None, verbs);
    }

    fn allow_one(&mut self, group: &str, resource: &str, name: &str, verbs: &[&'static str]) {
        self.add(group, resource, Some(name), verbs);
    }

    fn add(&mut self, group: &str, resource: &str, name: Option<&str>, verbs: &[&'static str]) {
        self.0.extend(verbs.iter().map(|verb| Right {
            group: group.to_owned(),
            resource: resource.to_owned(),
            name: name.map(str::to_owned),
            verb,
        }));
    }
}
