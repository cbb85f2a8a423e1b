//! Plugins are written where they differ from what is there, and deleted where no scope is left.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::DynamicObject;
use kube::{Api, Client, Error};
use serin_api::keys;

use super::watched::Watched;
use crate::apply::{hash, look};
use crate::kind::Kind;
use crate::observe::has_written;
use crate::resources::{self, words};
use crate::scope::{Scope, is_stale};

/// Writes at once.
const AT_ONCE: usize = 8;

/// Writes plugins, and remembers what it has written and how that then looked, both as hashes.
pub(super) struct Writer {
    client: Client,
    root: String,
    written: BTreeMap<Scope, (u64, u64)>,
}

/// What came of a scope's plugin.
pub(super) enum Outcome {
    /// It is as it should be.
    Told,
    /// There is no such namespace, and nobody to be told.
    Absent(String),
    /// It is not as it should be; why.
    Failed(String),
}

impl Outcome {
    /// Whoever there is will know.
    pub(super) fn is_told(&self) -> bool {
        !self.is_failure()
    }

    pub(super) fn is_failure(&self) -> bool {
        matches!(self, Self::Failed(_))
    }

    /// What a person should know.
    pub(super) fn line(&self) -> Option<&str> {
        match self {
            Self::Told => None,
            Self::Absent(line) | Self::Failed(line) => Some(line),
        }
    }
}

impl Writer {
    pub(super) fn new(client: &Client, root: &str) -> Self {
        Self { client: client.clone(), root: root.to_owned(), written: BTreeMap::new() }
    }

    /// Makes the plugins so. An API server that is asked for what is so already changes nothing, and no proxy is told.
    pub(super) async fn put(
        &mut self,
        watched: &Watched,
        wanted: Vec<(Scope, DynamicObject)>,
    ) -> BTreeMap<Scope, Outcome> {
        self.written.retain(|scope, _| wanted.iter().any(|(it, _)| it == scope));
        let (mut outcomes, mut writes) = (BTreeMap::new(), Vec::new());
        for (scope, object) in wanted {
            let hash = hash(&object);
            let there = watched.plugin(scope.plugin_namespace(&self.root), &scope.plugin_name());
            let shown = there.as_ref().map(|it| (hash, look(Kind::WasmPlugin, &it.metadata)));
            let written = self.written.get(&scope).copied();
            if shown.is_some() && written == shown {
                outcomes.insert(scope, Outcome::Told);
            } else {
                let known = there.is_some() || written.is_some();
                writes.push(self.write(scope, object, hash, known));
            }
        }
        let written: Vec<_> = stream::iter(writes).buffer_unordered(AT_ONCE).collect().await;
        for (scope, outcome, looks) in written {
            match looks {
                Some(looks) => self.written.insert(scope.clone(), looks),
                None => self.written.remove(&scope),
            };
            outcomes.insert(scope, outcome);
        }
        outcomes
    }

    /// Deletes our plugins of no scope, but for those that may be a Canary's of which nothing is known. Whether all
    /// have gone.
    pub(super) async fn prune(
        &self,
        watched: &Watched,
        all: &BTreeSet<Scope>,
        opaque: &BTreeSet<String>,
    ) -> bool {
        let mut gone = true;
        for stale in watched.plugins().iter().filter(|it| is_stale(it, all, &self.root)) {
            let namespace = stale.metadata.namespace.as_deref().unwrap_or_default();
            let unclear =
                opaque.contains(namespace) || (namespace == self.root && !opaque.is_empty());
            if !unclear && let Err(error) = self.delete(namespace, stale).await {
                let (name, error) = (stale.metadata.name.as_deref(), words(&error));
                tracing::warn!(namespace, name, error, "a WasmPlugin of no scope any more stays");
                gone = false;
            }
        }
        gone
    }

    async fn delete(&self, namespace: &str, stale: &DynamicObject) -> Result<(), Error> {
        let this = Preconditions { uid: stale.metadata.uid.clone(), ..Preconditions::default() };
        let params = DeleteParams::background().preconditions(this);
        let name = stale.metadata.name.as_deref().unwrap_or_default();
        match self.plugins(namespace).delete(name, &params).await {
            Err(Error::Api(status)) if status.code == 404 => Ok(()),
            outcome => outcome.map(|_| tracing::info!(namespace, name, "a scope has gone")),
        }
    }

    fn plugins(&self, namespace: &str) -> Api<DynamicObject> {
        resources::api(&self.client, Kind::WasmPlugin, namespace)
    }

    /// Writes one that is `known` to be ours, or not known to be another's.
    fn write(
        &self,
        scope: Scope,
        object: DynamicObject,
        wanted: u64,
        known: bool,
    ) -> impl Future<Output = (Scope, Outcome, Option<(u64, u64)>)> + use<> {
        let namespace = scope.plugin_namespace(&self.root).to_owned();
        let (plugins, name) = (self.plugins(&namespace), scope.plugin_name());
        async move {
            let put = async {
                if !known && is_strange(&plugins, &name).await? {
                    return Ok(None);
                }
                let params = PatchParams::apply(keys::FIELD_MANAGER).force().validation_strict();
                plugins.patch(&name, &params, &Patch::Apply(&object)).await.map(Some)
            };
            let (outcome, looks) = match put.await {
                Ok(Some(now)) => {
                    (Outcome::Told, Some((wanted, look(Kind::WasmPlugin, &now.metadata))))
                }
                Ok(None) => (Outcome::Failed(stranger(&name, &namespace)), None),
                Err(error) => (failure(&scope, &namespace, &error), None),
            };
            (scope, outcome, looks)
        }
    }
}

/// Whether somebody else has made it.
async fn is_strange(plugins: &Api<DynamicObject>, name: &str) -> Result<bool, Error> {
    let found = plugins.get_metadata_opt(name).await?;
    Ok(found.is_some_and(|found| !has_written(&found.metadata)))
}

fn stranger(name: &str, namespace: &str) -> String {
    format!("WasmPlugin {name} in namespace {namespace} was not made by Serin: rename or delete it")
}

fn failure(scope: &Scope, namespace: &str, error: &Error) -> Outcome {
    let scope = scope.name();
    if let Error::Api(status) = error
        && status.code == 404
        && status.details.as_ref().is_some_and(|it| it.kind == "namespaces")
    {
        return Outcome::Absent(format!("There is no namespace {namespace} for scope {scope}"));
    }
    Outcome::Failed(format!("The filters of scope {scope} cannot be told: {}", words(error)))
}
