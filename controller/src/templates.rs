//! `MetricTemplate`s: all of them are known, of the groups that are served, and an edit wakes the Canaries that
//! refer to the edited one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, future};
use kube::runtime::reflector::{ObjectRef, Store, store::Writer};
use kube::runtime::watcher::{Config, Event};
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use kube::{Api, Client};
use serin_api::{Canary, Group, MetricTemplate};
use thiserror::Error;
use tokio::time::timeout;

use crate::interests::Key;
use crate::wake::Wake;

/// All are there within milliseconds, or somebody does not let us read them.
const PATIENCE: Duration = Duration::from_secs(5);

/// All templates, and who refers to them.
#[derive(Default)]
pub(crate) struct Templates {
    stores: Mutex<BTreeMap<Group, Store<MetricTemplate>>>,
    /// By namespace and name.
    readers: Mutex<BTreeMap<(String, String), BTreeSet<Key>>>,
    wake: Wake,
}

/// Nobody knows which templates there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("MetricTemplates cannot be read: let the controller list and watch metrictemplates.{}", .0.name())]
pub(crate) struct Unread(Group);

impl Templates {
    pub(crate) fn new(wake: Wake) -> Self {
        Self { wake, ..Self::default() }
    }

    /// The templates that a Canary refers to, as far as they exist. From now on it is woken by their changes.
    pub(crate) async fn of(&self, canary: &Canary) -> Result<Vec<MetricTemplate>, Unread> {
        let mut found = Vec::new();
        let metrics = canary.spec.analysis.metrics.iter();
        let wanted: BTreeSet<_> = metrics
            .filter_map(|metric| metric.template_ref.as_ref())
            .map(|it| (it.namespace.as_deref().unwrap_or(canary.namespace()), it.name.as_str()))
            .collect();
        for (namespace, name) in wanted {
            self.interest(canary, namespace, name);
            for (group, store) in self.stores() {
                let ready = timeout(PATIENCE, store.wait_until_ready()).await;
                ready.map_err(|_| Unread(group))?.map_err(|_| Unread(group))?;
                let reference = ObjectRef::new_with(name, group).within(namespace);
                found.extend(store.get(&reference).map(|it| it.as_ref().clone()));
            }
        }
        Ok(found)
    }

    /// Watches the templates of a group until it is dropped.
    pub(crate) async fn watch(&self, client: Client, group: Group) {
        let writer = Writer::new(group);
        lock(&self.stores).insert(group, writer.as_reader());
        let all: Api<MetricTemplate> = Api::all_with(client, &group);
        let events = reflector(writer, watcher(all, Config::default()).default_backoff());
        events
            .for_each(|event| {
                match event {
                    Ok(Event::Apply(it) | Event::Delete(it) | Event::InitApply(it)) => {
                        self.changed(&it);
                    }
                    Ok(Event::Init | Event::InitDone) => {}
                    Err(error) => {
                        tracing::warn!(%error, "the watch of MetricTemplates broke off; it is taken up again");
                    }
                }
                future::ready(())
            })
            .await;
    }

    /// The Canary is gone.
    pub(crate) fn forget(&self, canary: &Key) {
        lock(&self.readers).retain(|_, readers| {
            readers.remove(canary);
            !readers.is_empty()
        });
    }

    fn stores(&self) -> BTreeMap<Group, Store<MetricTemplate>> {
        lock(&self.stores).clone()
    }

    fn interest(&self, canary: &Canary, namespace: &str, name: &str) {
        let template = (namespace.to_owned(), name.to_owned());
        lock(&self.readers).entry(template).or_default().insert(Key::of(canary));
    }

    fn changed(&self, template: &MetricTemplate) {
        let template = (template.namespace().to_owned(), template.name().to_owned());
        for reader in lock(&self.readers).get(&template).into_iter().flatten() {
            self.wake.up(reader);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
