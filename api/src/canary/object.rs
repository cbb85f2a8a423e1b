//! The object around a spec.

use kube::core::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::{CanarySpec, CanaryStatus, Group};
use crate::grouped::{namespace, resource};
use crate::keys;

/// A release of one workload, of either group.
///
/// Fields that are not known are dropped when it is read and never written back: only status is ours to write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Canary {
    /// The group it was read from.
    pub group: Group,
    /// Name, namespace and the rest.
    pub metadata: ObjectMeta,
    /// What its author wants.
    pub spec: CanarySpec,
    /// Where it stands.
    pub status: Option<CanaryStatus>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    api_version: String,
    kind: String,
    metadata: ObjectMeta,
    spec: CanarySpec,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<CanaryStatus>,
}

impl Canary {
    /// A Canary of our own group.
    pub fn new(name: impl Into<String>, namespace: impl Into<String>, spec: CanarySpec) -> Self {
        let metadata = ObjectMeta {
            name: Some(name.into()),
            namespace: Some(namespace.into()),
            ..ObjectMeta::default()
        };
        Self { group: Group::Serin, metadata, spec, status: None }
    }

    /// Its name; empty if it has none.
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// Its namespace, or the default one.
    pub fn namespace(&self) -> &str {
        namespace(&self.metadata)
    }

    /// The name that clients call: the service's, else the target's.
    pub fn apex(&self) -> &str {
        let service = self.spec.service.as_ref().and_then(|service| service.name.as_deref());
        service.unwrap_or(&self.spec.target_ref.name)
    }
}

resource!(Canary, keys::CANARY, keys::CANARIES);

impl TryFrom<Wire> for Canary {
    type Error = String;

    fn try_from(wire: Wire) -> Result<Self, String> {
        let group = Group::of(&wire.api_version, &wire.kind, keys::CANARY)?;
        Ok(Self { group, metadata: wire.metadata, spec: wire.spec, status: wire.status })
    }
}

impl From<Canary> for Wire {
    fn from(canary: Canary) -> Self {
        Self {
            api_version: canary.group.api_version(),
            kind: keys::CANARY.to_owned(),
            metadata: canary.metadata,
            spec: canary.spec,
            status: canary.status,
        }
    }
}
