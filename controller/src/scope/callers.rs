//! Who calls one Canary's service from within a scope.

use std::collections::BTreeSet;

use kube::core::DynamicObject;
use serde_json::Value;
use serin_api::canary::Service;

use super::{Labels, MESH, Scope};

/// How far filters reach: the installer's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
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
    /// Istio's root namespace. A plugin for it would be one for the mesh, so its sidecars are in no scope of their
    /// own.
    pub root_namespace: String,
    /// Istio's Gateways through which it is reached, as far as they exist; see [`Entrances`].
    pub gateways: Vec<Gateway>,
    /// Sidecars reach it.
    pub mesh: bool,
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

impl Gateway {
    /// A Gateway as the API server returned it.
    pub fn of(object: &DynamicObject) -> Option<Self> {
        let metadata = &object.metadata;
        let selector = object.data["spec"]["selector"].as_object().into_iter().flatten();
        let pairs =
            selector.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        let name = format!("{}/{}", metadata.namespace.as_ref()?, metadata.name.as_ref()?);
        Some(Self { name, selector: pairs.collect() })
    }

    /// One that selects everything is in no scope: a filter for it would be in every proxy of the mesh.
    fn is_steered(&self) -> bool {
        !self.selector.is_empty()
    }
}

/// How a service is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entrances {
    /// Through these Gateways, `NAMESPACE/NAME`.
    pub gateways: BTreeSet<String>,
    /// By sidecars.
    pub mesh: bool,
}

impl Entrances {
    /// Of a service of namespace `home`: the gateways that it names, or, of a delegate `apex`, those of the
    /// `VirtualService`s that delegate to it. Without any, Istio takes `mesh`.
    pub fn of(service: &Service, apex: &str, home: &str, roots: &[DynamicObject]) -> Self {
        let mut entrances = Self::default();
        if !service.delegation {
            entrances.add(service.gateways.iter().map(String::as_str), home);
        }
        for root in roots.iter().filter(|_| service.delegation) {
            let (spec, theirs) = (&root.data["spec"], root.metadata.namespace.as_deref());
            let theirs = theirs.unwrap_or_default();
            if delegates(root).contains(&(home.to_owned(), apex.to_owned())) {
                let names = spec["gateways"].as_array().into_iter().flatten();
                entrances.add(names.filter_map(Value::as_str), theirs);
            }
        }
        entrances
    }

    fn add<'n>(&mut self, names: impl Iterator<Item = &'n str>, home: &str) {
        let mut names = names.peekable();
        self.mesh |= names.peek().is_none();
        for name in names {
            if name == MESH {
                self.mesh = true;
            } else {
                self.gateways.insert(gateway_name(name, home));
            }
        }
    }
}

/// The delegates that a `VirtualService` leads to: namespace and name.
pub(crate) fn delegates(root: &DynamicObject) -> BTreeSet<(String, String)> {
    let theirs = root.metadata.namespace.as_deref().unwrap_or_default();
    let routes = root.data["spec"]["http"].as_array().into_iter().flatten();
    let delegates = routes.map(|route| &route["delegate"]);
    let named = delegates.filter_map(|to| {
        let namespace = to["namespace"].as_str().unwrap_or(theirs);
        Some((namespace.to_owned(), to["name"].as_str()?.to_owned()))
    });
    named.collect()
}

impl Callers {
    /// Whether there is nobody outside.
    pub fn everyone(&self) -> bool {
        let only_gateways = !self.mesh && self.gateways.iter().all(Gateway::is_steered);
        self.reach == Reach::Mesh || only_gateways
    }

    /// Namespaces whose sidecars know the rollout, each once, in order.
    pub fn namespaces(&self, own: &str) -> BTreeSet<String> {
        let all = self.further.iter().map(String::as_str).chain([own]);
        all.filter(|namespace| *namespace != self.root_namespace).map(str::to_owned).collect()
    }

    /// Gateways whose pods know the rollout.
    pub fn steered(&self) -> impl Iterator<Item = &Gateway> {
        self.gateways.iter().filter(|it| it.is_steered())
    }

    /// The scopes.
    pub fn scopes(&self, own: &str) -> BTreeSet<Scope> {
        if self.reach == Reach::Mesh {
            return BTreeSet::from([Scope::Mesh]);
        }
        let gateways = self.steered().map(|it| Scope::Gateway(it.selector.clone()));
        gateways.chain(self.namespaces(own).into_iter().map(Scope::Namespace)).collect()
    }
}

/// The Gateway that a name in a `VirtualService` of namespace `home` means, as `NAMESPACE/NAME`. Istio takes
/// `NAME`, `NAMESPACE/NAME`, `./NAME`, and of old `NAME.NAMESPACE` with or without a domain. None is made up for
/// `mesh`.
pub fn gateway_name(written: &str, home: &str) -> String {
    if written == MESH {
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
