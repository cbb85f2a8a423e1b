//! Who calls one Canary's service from within a scope.

use std::collections::BTreeSet;

use super::{Labels, Scope};

/// How far filters reach: the installer's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// The scopes that a Canary names.
    #[default]
    Scoped,
    /// Every proxy of the mesh, at about 28 MB for each.
    Mesh,
}

/// Who calls one Canary's service from within a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Callers {
    /// How far filters reach.
    pub reach: Reach,
    /// Istio's root namespace. A plugin for it would be one for the mesh, so its sidecars are in no scope of their own.
    pub root_namespace: String,
    /// Istio's Gateways through which it is reached, as far as they exist; of a delegate those of its roots.
    pub gateways: Vec<Gateway>,
    /// Namespaces of callers beside the Canary's own.
    pub further: Vec<String>,
}

/// One of Istio's Gateways.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gateway {
    /// `NAMESPACE/NAME`.
    pub name: String,
    /// `spec.selector`.
    pub selector: Labels,
}

impl Callers {
    /// Whether there is nobody outside.
    pub fn everyone(&self) -> bool {
        self.reach == Reach::Mesh
    }

    /// Namespaces whose sidecars know the rollout, each once, in order.
    pub fn namespaces(&self, own: &str) -> BTreeSet<String> {
        let all = self.further.iter().map(String::as_str).chain([own]);
        all.filter(|namespace| *namespace != self.root_namespace).map(str::to_owned).collect()
    }

    /// Gateways whose pods know the rollout. One that selects everything is none: a filter for it would be in every proxy
    /// of the mesh.
    pub fn steered(&self) -> impl Iterator<Item = &Gateway> {
        self.gateways.iter().filter(|it| !it.selector.is_empty())
    }

    /// The scopes.
    pub fn scopes(&self, own: &str) -> BTreeSet<Scope> {
        if self.everyone() {
            return BTreeSet::from([Scope::Mesh]);
        }
        let gateways = self.steered().map(|it| Scope::Gateway(it.selector.clone()));
        gateways.chain(self.namespaces(own).into_iter().map(Scope::Namespace)).collect()
    }
}

/// The Gateway that a name in a `VirtualService` of namespace `home` means, as `NAMESPACE/NAME`. Istio takes `NAME`,
/// `NAMESPACE/NAME`, `./NAME`, and of old `NAME.NAMESPACE` with or without a domain. None is made up for `mesh`.
pub fn gateway_name(written: &str, home: &str) -> String {
    if written == "mesh" {
        return written.to_owned();
    }
    if let Some((namespace, name)) = written.split_once('/') {
        let namespace = if namespace == "." { home } else { namespace };
        return format!("{namespace}/{name}");
    }
    match written.split_once('.') {
        None => format!("{home}/{written}"),
        Some((name, rest)) => {
            let namespace = rest.split_once('.').map_or(rest, |(namespace, _)| namespace);
            format!("{namespace}/{name}")
        }
    }
}
