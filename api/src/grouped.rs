//! What objects of either group have in common: how they are written, and where a cluster keeps them.

use kube::core::ObjectMeta;
use serde::{Deserialize, Serialize};

use crate::{Group, keys};

/// An object without a status, as it is written.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Wire<S> {
    api_version: String,
    kind: String,
    metadata: ObjectMeta,
    spec: S,
}

impl<S> Wire<S> {
    pub(crate) fn new(group: Group, kind: &str, metadata: ObjectMeta, spec: S) -> Self {
        Self { api_version: group.api_version(), kind: kind.to_owned(), metadata, spec }
    }

    /// Its group and the rest, if it is of `kind`.
    pub(crate) fn open(self, kind: &str) -> Result<(Group, ObjectMeta, S), String> {
        let group = Group::of(&self.api_version, &self.kind, kind)?;
        Ok((group, self.metadata, self.spec))
    }
}

/// The namespace of an object, or the default one.
pub(crate) fn namespace(metadata: &ObjectMeta) -> &str {
    metadata.namespace.as_deref().unwrap_or(keys::DEFAULT_NAMESPACE)
}

/// Where a cluster keeps objects of this type: in the group that it is given.
macro_rules! resource {
    ($object:ty, $kind:expr, $plural:expr) => {
        impl kube::Resource for $object {
            type DynamicType = $crate::Group;
            // As the group is data, a client takes the scope as data, too.
            type Scope = kube::core::DynamicResourceScope;

            fn kind(_: &$crate::Group) -> std::borrow::Cow<'_, str> {
                $kind.into()
            }

            fn group(group: &$crate::Group) -> std::borrow::Cow<'_, str> {
                group.name().into()
            }

            fn version(_: &$crate::Group) -> std::borrow::Cow<'_, str> {
                $crate::keys::VERSION.into()
            }

            fn plural(_: &$crate::Group) -> std::borrow::Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &kube::core::ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut kube::core::ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

pub(crate) use resource;
