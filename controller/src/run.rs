//! The process: one controller for each group, the watches that wake it, and its end.
//!
//! Nothing is polled. What a Canary depends on is watched, and an event wakes just those whose interest it is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _, Shared, join_all};
use futures_util::{StreamExt as _, future};
use kube::core::{DynamicObject, PartialObjectMeta};
use kube::runtime::Controller;
use kube::runtime::controller::Error;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::Config;
use kube::{Api, Client};
use serin_api::{Canary, Group};
use serin_probe::{Network, NetworkError};
use thiserror::Error;

use crate::context::Context;
use crate::interests::Key;
use crate::kind::Kind;
use crate::reconcile::{failed, reconcile};

/// How long reconciliations under way may take to end: Kubernetes kills a pod thirty seconds after it has asked it to
/// stop. A watch whose definition is not installed never ends by itself.
const GRACE: Duration = Duration::from_secs(10);

/// What the installer decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Groups whose Canaries are served.
    pub groups: BTreeSet<Group>,
    /// Istio's root namespace.
    pub root_namespace: String,
    /// Told of the events of every Canary that has no event webhook of its own.
    pub event_webhook: Option<String>,
}

/// The controller could not begin.
#[derive(Debug, Error)]
pub enum RunError {
    /// There is no cluster to talk to.
    #[error("the cluster does not answer: {0}")]
    Cluster(#[from] kube::Error),
    /// Nothing can be asked.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// Serves Canaries until `stop`; reconciliations under way are finished.
pub async fn run(
    client: Client,
    options: Options,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), RunError> {
    let version = client.apiserver_version().await?;
    tracing::info!(kubernetes = version.git_version, groups = ?options.groups, "serving");
    let stop = stop.boxed().shared();
    let context = Arc::new(Context::new(client, options, Network::new()?));
    let groups = context.options.groups.iter();
    let served = join_all(groups.map(|group| serve(Arc::clone(&context), *group, stop.clone())));
    let overdue = async {
        stop.clone().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        _ = served => {}
        () = overdue => tracing::warn!(grace = ?GRACE, "ending before all watches have"),
    }
    Ok(())
}

async fn serve(context: Arc<Context>, group: Group, stop: Shared<BoxFuture<'static, ()>>) {
    let client = context.client.clone();
    let canaries: Api<Canary> = Api::all_with(client.clone(), &group);
    let mut controller = Controller::new_with(canaries, Config::default(), group);
    // Of the proxies' tables nothing is written yet.
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::WasmPlugin) {
        let resource = kind.resource();
        let all: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(client.clone(), &resource);
        let interests = Arc::clone(&context.interests);
        let concerned = move |object: PartialObjectMeta<DynamicObject>| {
            interests.concerned(group, kind, &object.metadata)
        };
        controller = controller.watches_with(all, resource, Config::default(), concerned);
    }
    let outcomes = controller
        .reconcile_on(context.wake.stream(group).map(|canary| reference(&canary)))
        .graceful_shutdown_on(stop)
        .run(reconcile, failed, Arc::clone(&context));
    let served = outcomes.for_each(|outcome| {
        match outcome {
            Err(Error::QueueError(error)) => {
                tracing::warn!(%error, "a watch broke off; it is taken up again");
            }
            Err(Error::ObjectNotFound(gone)) => {
                let (name, namespace) = (gone.name.clone(), gone.namespace.unwrap_or_default());
                context.forget(&Key { group, namespace, name });
            }
            _ => {}
        }
        future::ready(())
    });
    // The watch of templates has no end of its own.
    tokio::select! {
        () = served => {}
        () = context.templates.watch(client, group) => {}
    }
}

fn reference(canary: &Key) -> ObjectRef<Canary> {
    ObjectRef::new_with(&canary.name, canary.group).within(&canary.namespace)
}
