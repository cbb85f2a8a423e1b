//! Whether a Flagger runs in this cluster. Two controllers of one Canary would fight over its traffic, so while one
//! does, or is meant to, nothing is done for Canaries of its group.

use std::collections::BTreeSet;
use std::future::ready;

use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::{self, Config, watcher};
use serin_api::Group;

use crate::context::Context;
use crate::reconcile::Stop;

/// As its manifests and its chart call and label it.
const NAME: &str = "flagger";
const NAME_LABEL: &str = "app.kubernetes.io/name";
const PRODUCT_LABEL: &str = "app.kubernetes.io/part-of";
/// A Deployment of ours, whatever it is called: manifests that ask for Deployment `flagger` get us by that name.
const OURS: &str = "serin";

/// Whether a Flagger runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Flagger {
    /// Nobody has looked yet.
    #[default]
    Unknown,
    /// None does.
    Gone,
    /// These Deployments do, or will: `namespace/name`.
    Runs(BTreeSet<String>),
}

/// Why nothing is done for Canaries of a group.
pub(crate) fn yielded(context: &Context, group: Group) -> Option<Stop> {
    if group != Group::Flagger {
        return None;
    }
    match &*context.flagger.borrow() {
        Flagger::Unknown => Some(Stop::Unknown),
        Flagger::Gone => None,
        Flagger::Runs(deployments) => {
            let names: Vec<&str> = deployments.iter().map(String::as_str).collect();
            Some(Stop::Yielded(format!(
                "Deployment {} serves flagger.app: nothing is done here until it is gone; scale it to 0 replicas",
                names.join(", ")
            )))
        }
    }
}

/// Each time that this changes, if it matters to the group.
pub(crate) fn changes(context: &Context, group: Group) -> impl Stream<Item = ()> + Send + use<> {
    let changes = (group == Group::Flagger).then(|| context.flagger.subscribe());
    stream::unfold(changes, |changes| async {
        let mut changes = changes?;
        changes.changed().await.ok()?;
        Some(((), Some(changes)))
    })
}

/// Keeps what is known of it. It never ends.
pub(crate) async fn follow(context: &Context) {
    if !context.options.groups.contains(&Group::Flagger) {
        return std::future::pending().await;
    }
    let all: Api<Deployment> = Api::all(context.client.clone());
    let by_name = Config::default().fields(&format!("metadata.name={NAME}"));
    let by_label = Config::default().labels(&format!("{NAME_LABEL}={NAME}"));
    let [(named, name_events), (labelled, label_events)] = [by_name, by_label].map(|config| {
        let (store, writer) = reflector::store();
        (store, watcher(all.clone(), config).default_backoff().reflect(writer))
    });
    let events = stream::select(name_events.boxed(), label_events.boxed());
    let note = |event: watcher::Result<watcher::Event<Deployment>>| {
        if let Err(error) = event {
            tracing::warn!(%error, "whether a Flagger runs cannot be seen; what was seen last holds");
        } else if let (Some(named), Some(labelled)) = (running(&named), running(&labelled)) {
            told(context, &named.union(&labelled).cloned().collect());
        }
        ready(())
    };
    events.for_each(note).await;
}

fn told(context: &Context, deployments: &BTreeSet<String>) {
    let runs = !deployments.is_empty();
    context.metrics.yields(runs);
    let new = if runs { Flagger::Runs(deployments.clone()) } else { Flagger::Gone };
    let changed = context.flagger.send_if_modified(|known| {
        let changed = *known != new;
        *known = new;
        changed
    });
    match (changed, runs) {
        (true, true) => tracing::warn!(
            ?deployments,
            "a Flagger runs: nothing is done for Canaries of flagger.app until it is gone"
        ),
        (true, false) => tracing::info!("no Flagger runs: Canaries of flagger.app are served"),
        (false, _) => {}
    }
}

/// Those that run; none before the list is there.
fn running(store: &Store<Deployment>) -> Option<BTreeSet<String>> {
    store.wait_until_ready().now_or_never()?.ok()?;
    let all = store.state();
    let running = all.iter().filter(|it| runs(it)).map(|it| {
        let [namespace, name] = [&it.metadata.namespace, &it.metadata.name];
        let [namespace, name] = [namespace, name].map(|it| it.as_deref().unwrap_or_default());
        format!("{namespace}/{name}")
    });
    Some(running.collect())
}

/// It has pods, or is to have some: one that is about to start again has no pod that is ready.
fn runs(deployment: &Deployment) -> bool {
    let labels = deployment.metadata.labels.as_ref();
    if labels.is_some_and(|labels| labels.get(PRODUCT_LABEL).is_some_and(|it| it == OURS)) {
        return false;
    }
    let wanted = deployment.spec.replicas.unwrap_or(1);
    let there = deployment.status.as_ref().and_then(|status| status.replicas).unwrap_or(0);
    wanted > 0 || there > 0
}
