//! The kinds of objects that the controller writes, each named once: for the writer, for pruning and for its
//! rights.

use kube::core::{ApiResource, DynamicObject, TypeMeta};

/// A kind of object, in the version that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `v1` Service.
    Service,
    /// `v1` `ConfigMap`.
    ConfigMap,
    /// `v1` Secret.
    Secret,
    /// `apps/v1` Deployment.
    Deployment,
    /// `autoscaling/v2` `HorizontalPodAutoscaler`.
    Autoscaler,
    /// Istio's `DestinationRule`.
    DestinationRule,
    /// Istio's `VirtualService`.
    VirtualService,
    /// Istio's `WasmPlugin`.
    WasmPlugin,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Service,
        Self::ConfigMap,
        Self::Secret,
        Self::Deployment,
        Self::Autoscaler,
        Self::DestinationRule,
        Self::VirtualService,
        Self::WasmPlugin,
    ];

    /// Group, version, kind and plural. Istio's are in the oldest version that every Istio serves which knows
    /// `WasmPlugin`.
    const fn names(self) -> [&'static str; 4] {
        match self {
            Self::Service => ["", "v1", "Service", "services"],
            Self::ConfigMap => ["", "v1", "ConfigMap", "configmaps"],
            Self::Secret => ["", "v1", "Secret", "secrets"],
            Self::Deployment => ["apps", "v1", "Deployment", "deployments"],
            Self::Autoscaler => {
                ["autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"]
            }
            Self::DestinationRule => {
                ["networking.istio.io", "v1beta1", "DestinationRule", "destinationrules"]
            }
            Self::VirtualService => {
                ["networking.istio.io", "v1beta1", "VirtualService", "virtualservices"]
            }
            Self::WasmPlugin => ["extensions.istio.io", "v1alpha1", "WasmPlugin", "wasmplugins"],
        }
    }

    /// `Deployment`.
    pub const fn name(self) -> &'static str {
        self.names()[2]
    }

    /// What a client needs to know.
    pub fn resource(self) -> ApiResource {
        let [group, version, kind, plural] = self.names().map(str::to_owned);
        ApiResource { api_version: self.api_version(), group, version, kind, plural }
    }

    /// The kind of an object, if it is one of ours.
    pub fn of(object: &DynamicObject) -> Option<Self> {
        let TypeMeta { api_version, kind } = object.types.as_ref()?;
        Self::ALL.into_iter().find(|it| it.name() == kind && it.api_version() == *api_version)
    }

    /// `apps/v1`.
    pub fn api_version(self) -> String {
        match self.names() {
            ["", version, ..] => version.to_owned(),
            [group, version, ..] => format!("{group}/{version}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_in_what_is_made_of_it() {
        for kind in Kind::ALL {
            let object = DynamicObject::new("x", &kind.resource());
            assert_eq!(Kind::of(&object), Some(kind));
        }
        assert_eq!(Kind::Deployment.api_version(), "apps/v1");
        assert_eq!(Kind::Secret.api_version(), "v1");
    }
}
