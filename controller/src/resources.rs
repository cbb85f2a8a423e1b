//! The client's access to each kind of object.

use std::iter;

use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client, Error};

use crate::kind::Kind;

/// Istio's Gateways, which we only read.
pub(crate) const GATEWAY: ReadOnly = ReadOnly {
    group: "networking.istio.io",
    version: "v1beta1",
    kind: "Gateway",
    plural: "gateways",
};
/// The history of Deployments, which we only read.
const REPLICA_SET: ReadOnly =
    ReadOnly { group: "apps", version: "v1", kind: "ReplicaSet", plural: "replicasets" };

/// A kind that we only read.
pub(crate) struct ReadOnly {
    group: &'static str,
    version: &'static str,
    pub(crate) kind: &'static str,
    plural: &'static str,
}

/// Objects of one of our kinds.
pub(crate) fn api(client: &Client, kind: Kind, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &kind.resource())
}

/// `VirtualService`s of all namespaces.
pub(crate) fn virtual_services(client: &Client) -> Api<DynamicObject> {
    Api::all_with(client.clone(), &Kind::VirtualService.resource())
}

/// Istio's Gateways.
pub(crate) fn gateways(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &GATEWAY.resource())
}

/// The history of Deployments.
pub(crate) fn replica_sets(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &REPLICA_SET.resource())
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

impl ReadOnly {
    /// What a client needs to know.
    pub(crate) fn resource(&self) -> ApiResource {
        let Self { group, version, kind, plural } = *self;
        ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: format!("{group}/{version}"),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        }
    }
}
