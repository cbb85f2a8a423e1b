//! The process: one controller for each group, the watches that wake it, who may act, and its end.
//!
//! Nothing is polled. What a Canary depends on is watched, and an event wakes just those whose interest it is.
//! A term of leading begins with nothing remembered, and ends by dropping everything: calls under way are broken off.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{self as futures, BoxFuture, FutureExt as _, join_all};
use futures_util::{StreamExt as _, future};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::Controller;
use kube::runtime::controller::Error;
use kube::runtime::watcher::Config;
use kube::{Api, Client};
use serin_api::Group;
use serin_probe::{Network, NetworkError};
use serin_receiver::{Peers, Server, Settings};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::clock;
use crate::context::Context;
use crate::feed::{Feed, Gate};
use crate::flagger;
use crate::guarded::Guarded;
use crate::health::Health;
use crate::interests::Key;
use crate::lead::{Candidate, Election};
use crate::leadership::{Badge, Leadership};
use crate::metrics::Metrics;
use crate::reconcile::{failed, reconcile};
use crate::resources::words;
use crate::scope::{Installation, Reach};
use crate::scopes;
use crate::tokens;
use crate::watches::woken;

/// How long reconciliations under way may take to end; with the lease's farewell behind it, all is over within ten
/// seconds. Kubernetes kills a pod thirty seconds after it has asked it to stop. A watch whose definition is not
/// installed never ends by itself.
const GRACE: Duration = Duration::from_secs(7);

/// Of those who report: each sidecar's threads, where no sidecar of ours gathers them.
const CONNECTIONS_MAX: usize = 4096;

/// A request to stop, which many wait for.
type Stop = futures::Shared<BoxFuture<'static, ()>>;

/// What the installer decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Groups whose Canaries are served.
    pub groups: BTreeSet<Group>,
    /// What filters are given, and where they report to.
    pub installation: Installation,
    /// How far filters reach.
    pub reach: Reach,
    /// Told of the events of every Canary that has no event webhook of its own.
    pub event_webhook: Option<String>,
}

/// The controller could not begin.
#[derive(Debug, Error)]
pub enum RunError {
    /// There is no cluster to talk to.
    #[error("the cluster does not answer: {}", words(.0))]
    Cluster(#[from] kube::Error),
    /// Nothing can be asked.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// What outlives a term of leading.
pub struct Shared {
    /// Whether this process is of use.
    pub health: Arc<Health>,
    /// Whether it leads.
    pub leadership: Leadership,
    /// What monitoring sees.
    pub metrics: Arc<Metrics>,
    leading: watch::Sender<Option<Timestamp>>,
    feed: watch::Sender<Option<Arc<Feed>>>,
}

impl Default for Shared {
    fn default() -> Self {
        let (leading, leadership) = Leadership::new();
        let (health, metrics, feed) = (Arc::default(), Arc::default(), watch::Sender::default());
        Self { health, leadership, metrics, leading, feed }
    }
}

impl Shared {
    /// Takes the filters' reports while this process leads, until what is returned is dropped.
    pub fn receive(&self, listener: TcpListener, peers: Peers) -> io::Result<Server> {
        let settings = Settings { connections: CONNECTIONS_MAX, peers };
        let gate = Gate::new(self.feed.subscribe(), Arc::clone(&self.metrics));
        let server = Server::start(listener, Arc::new(gate), settings)?;
        tracing::info!(address = %server.address(), "reports are received");
        Ok(server)
    }
}

/// Serves Canaries until `stop`, as the only one who does; reconciliations under way are finished.
pub async fn run(
    client: Client,
    options: Options,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), RunError> {
    run_alone(client, options, &Shared::default(), stop).await
}

/// As [`run`], and tells how it goes.
pub async fn run_alone(
    client: Client,
    options: Options,
    shared: &Shared,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), RunError> {
    let process = Process::begin(client, options, shared).await?;
    process.term(stop.boxed().shared()).await;
    Ok(())
}

/// Stands for election until `stop`, and serves Canaries while it leads. `pod` is labelled as the one that does.
pub async fn run_elected(
    client: Client,
    options: Options,
    election: Election,
    pod: Option<String>,
    shared: &Shared,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), RunError> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), &election.namespace);
    let badge = pod.map(|pod| Badge::new(pods, pod));
    let mut candidate = Candidate::new(&client, election, Arc::clone(&shared.health));
    let process = Process::begin(client, options, shared).await?;
    tokio::select! {
        () = follow(badge.as_ref(), &shared.leadership) => {}
        () = process.terms(&mut candidate, stop.boxed().shared()) => {}
    }
    let bare = async {
        if let Some(badge) = &badge {
            badge.take_off().await;
        }
    };
    tokio::join!(candidate.release(), bare);
    Ok(())
}

async fn follow(badge: Option<&Badge>, leadership: &Leadership) {
    match badge {
        Some(badge) => badge.follow(leadership.clone()).await,
        None => future::pending().await,
    }
}

/// What every term of leading begins with.
struct Process<'a> {
    client: Client,
    options: Options,
    network: Network,
    shared: &'a Shared,
}

impl<'a> Process<'a> {
    async fn begin(client: Client, options: Options, shared: &'a Shared) -> Result<Self, RunError> {
        let version = client.apiserver_version().await?;
        shared.health.reached();
        tracing::info!(kubernetes = version.git_version, groups = ?options.groups, "connected");
        Ok(Self { client, options, network: Network::new()?, shared })
    }

    /// One term after the other, until `stop`.
    async fn terms(&self, candidate: &mut Candidate, stop: Stop) {
        loop {
            tracing::info!("standing by");
            tokio::select! {
                () = candidate.acquire() => {}
                () = stop.clone() => return,
            }
            tokio::select! {
                () = candidate.keep() => tracing::warn!("another leads, or may: nothing is written any more"),
                () = self.term(stop.clone()) => return,
            }
        }
    }

    /// Serves all groups until `stop`, or until it is dropped.
    async fn term(&self, stop: Stop) {
        let Self { client, options, network, shared } = self;
        let context =
            Arc::new(Context::new(client.clone(), options.clone(), network.clone(), shared));
        let _leading = Leading::begin(shared, &context.feed);
        tracing::info!("leading");
        let groups = options.groups.iter();
        let served =
            join_all(groups.map(|group| serve(Arc::clone(&context), *group, stop.clone())));
        let overdue = async {
            stop.clone().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            _ = served => {}
            () = flagger::follow(&context) => {}
            () = tell_and_hear(&context) => {}
            () = overdue => tracing::warn!(grace = ?GRACE, "ending before all watches have"),
        }
    }
}

/// Says that this process leads for as long as it lives.
struct Leading<'a>(&'a Shared);

impl<'a> Leading<'a> {
    fn begin(shared: &'a Shared, feed: &Arc<Feed>) -> Self {
        shared.metrics.leads(Some(feed));
        shared.feed.send_replace(Some(Arc::clone(feed)));
        shared.leading.send_replace(Some(clock::now()));
        Self(shared)
    }
}

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        self.0.leading.send_replace(None);
        self.0.feed.send_replace(None);
        self.0.metrics.leads(None);
    }
}

/// Filters are told what to do, and heard.
async fn tell_and_hear(context: &Context) {
    let home = &context.options.installation.receiver.namespace;
    let secrets = Api::namespaced(context.client.clone(), home);
    tokio::join!(
        tokens::follow(secrets, &context.tokens),
        scopes::follow(context),
        context.feed.follow(&context.wake),
    );
}

async fn serve(context: Arc<Context>, group: Group, stop: Stop) {
    let client = context.client.clone();
    let canaries: Api<Guarded> = Api::all_with(client.clone(), &group);
    let controller = Controller::new_with(canaries, Config::default(), group)
        .reconcile_on(woken(&client, group, &context.interests))
        .reconcile_on(context.wake.stream(group).map(|canary| canary.woken()))
        .reconcile_all_on(flagger::changes(&context, group));
    context.keep_store(group, controller.store());
    let outcomes = controller.graceful_shutdown_on(stop).run(
        move |canary, context| reconcile(group, canary, context),
        move |canary, stop, context| failed(group, &canary, stop, &context),
        Arc::clone(&context),
    );
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
