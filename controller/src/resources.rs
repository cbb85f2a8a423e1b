//! The client's access to each kind of object.

use std::iter;

use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client, Error};

use crate::kind::Kind;

/// Objects of one of our kinds.
pub(crate) fn api(client: &Client, kind: Kind, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &kind.resource())
}

/// Istio's Gateways, which we only read.
pub(crate) fn gateways(client: &Client, namespace: &str) -> Api<DynamicObject> {
    let gateways = read_only("networking.istio.io", "v1beta1", "Gateway", "gateways");
    Api::namespaced_with(client.clone(), namespace, &gateways)
}

/// The history of Deployments, which we only read.
pub(crate) fn replica_sets(client: &Client, namespace: &str) -> Api<DynamicObject> {
    let sets = read_only("apps", "v1", "ReplicaSet", "replicasets");
    Api::namespaced_with(client.clone(), namespace, &sets)
}

/// What went wrong, in the API server's words where it has said any.
pub(crate) fn words(error: &Error) -> String {
    match error {
        Error::Api(status) => status.message.clone(),
        error => causes(error),
    }
}

/// All that it says of itself, down to the bottom, and nothing twice.
fn causes(error: &Error) -> String {
    let all = iter::successors(Some(error as &dyn std::error::Error), |it| it.source());
    all.fold(String::new(), |said, it| match it.to_string() {
        part if said.ends_with(&part) => said,
        part if said.is_empty() => part,
        part => format!("{said}: {part}"),
    })
}

fn read_only(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: format!("{group}/{version}"),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}
