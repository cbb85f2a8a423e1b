//! Canaries of a cluster, of both groups: a group whose definitions are not installed has none.

use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject, TypeMeta};
use kube::{Api, Error};
use serin_api::keys::CANARY;
use serin_api::{Canary, Group};

use super::access::{Access, Cluster, refused};
use crate::failure::Failure;

pub(super) const GROUPS: [Group; 2] = [Group::Serin, Group::Flagger];
const NOT_FOUND: u16 = 404;
const NOT_INSTALLED: &str =
    "this cluster knows no Canaries: Serin is not installed (docs/install.md says how)";

/// One Canary.
#[derive(Clone, Debug, clap::Args)]
pub struct One {
    /// Its name; `canary/NAME` is the same.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Its API group, where both have one of that name.
    #[arg(long, value_name = "GROUP", value_parser = group)]
    pub group: Option<Group>,
    /// Which cluster.
    #[command(flatten)]
    pub access: Access,
}

fn group(name: &str) -> Result<Group, String> {
    let group = GROUPS.into_iter().find(|group| group.name() == name);
    group.ok_or_else(|| format!("must be {} or {}", GROUPS[0].name(), GROUPS[1].name()))
}

/// Canaries of a group in one namespace, or in all.
pub(super) fn api(cluster: &Cluster, group: Group, all: Namespaces) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<Canary>(&group);
    match all {
        Namespaces::All => Api::all_with(cluster.client.clone(), &resource),
        Namespaces::One => {
            Api::namespaced_with(cluster.client.clone(), &cluster.namespace, &resource)
        }
    }
}

/// Where to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Namespaces {
    All,
    One,
}

/// Every Canary there, as it is stored.
pub(super) async fn all(
    cluster: &Cluster,
    namespaces: Namespaces,
) -> Result<Vec<DynamicObject>, Failure> {
    let (mut found, mut known) = (Vec::new(), false);
    for group in GROUPS {
        match api(cluster, group, namespaces).list(&ListParams::default()).await {
            Ok(list) => {
                known = true;
                // In a list the items need not say what they are.
                let types = TypeMeta { api_version: group.api_version(), kind: CANARY.to_owned() };
                found.extend(list.items.into_iter().map(|mut it| {
                    it.types.get_or_insert_with(|| types.clone());
                    it
                }));
            }
            Err(Error::Api(status)) if status.code == NOT_FOUND => {}
            Err(error) => return Err(refused(&error)),
        }
    }
    if known { Ok(found) } else { Err(Failure::environment(NOT_INSTALLED)) }
}

impl One {
    /// Without the kind that kubectl's users write before it.
    pub(super) fn name(&self) -> &str {
        let bare = self.name.split_once('/').filter(|(kind, _)| {
            ["canary", "canaries", "cnr", "canary.serin.dev", "canary.flagger.app"].contains(kind)
        });
        bare.map_or(&self.name, |(_, name)| name)
    }

    /// The Canary, as it is stored.
    pub(super) async fn find(&self, cluster: &Cluster) -> Result<DynamicObject, Failure> {
        let mut found = Vec::new();
        for group in GROUPS.into_iter().filter(|it| self.group.is_none_or(|only| only == *it)) {
            let api = api(cluster, group, Namespaces::One);
            // Also a group that is not defined is not found, and does not say why.
            match api.get(self.name()).await {
                Ok(object) => found.push(object),
                Err(Error::Api(status)) if status.code == NOT_FOUND => {}
                Err(error) => return Err(refused(&error)),
            }
        }
        if found.len() > 1 {
            let name = self.name();
            let text = format!("both groups have a Canary {name}: say which by --group");
            return Err(Failure::usage(text));
        }
        match found.pop() {
            Some(object) => Ok(object),
            None => Err(self.missing(&all(cluster, Namespaces::One).await?, &cluster.namespace)),
        }
    }

    fn missing(&self, others: &[DynamicObject], namespace: &str) -> Failure {
        let names: Vec<&str> = others.iter().filter_map(|it| it.metadata.name.as_deref()).collect();
        let there = match names.len() {
            0 => "it has none (another one: -n NAME)".to_owned(),
            _ => format!("it has: {}", names.join(", ")),
        };
        let name = self.name();
        Failure::environment(format!("namespace {namespace} has no Canary {name}; {there}"))
    }
}

/// A stored Canary, read.
pub(super) fn read(object: DynamicObject) -> Result<Canary, Failure> {
    let name = object.metadata.name.clone().unwrap_or_default();
    object
        .try_parse()
        .map_err(|error| Failure::environment(format!("Canary {name} cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubectls_way_to_name_an_object_is_understood() {
        let one =
            |name: &str| One { name: name.to_owned(), group: None, access: Access::default() };
        for name in ["shop", "canary/shop", "cnr/shop", "canary.flagger.app/shop"] {
            assert_eq!(one(name).name(), "shop");
        }
        assert_eq!(one("deploy/shop").name(), "deploy/shop");
        assert!(group("serin.dev").is_ok() && group("flagger").is_err());
    }
}
