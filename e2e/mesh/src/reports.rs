//! The reports that the receiver in the mesh took, as they come: asked for all the time, through a forwarded port.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serin_e2e::{
    client::{Ask, Client},
    totals::Totals,
};
use serin_route::{Report, Rollout};
use tokio::task::JoinHandle;

use crate::{eventually, forward::Forward, mesh::Mesh, say};

/// The receiver's port, of its container and of its Service.
pub const PORT: u16 = 8080;

/// A report that arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// When it was known here.
    pub at: Instant,
    /// `x-forwarded-client-cert`, as the receiver's sidecar wrote it: who sent it, by mTLS.
    pub peer: Option<String>,
    /// What it says.
    pub report: Report,
}

/// All reports of a receiver.
pub struct Reports {
    received: Arc<Mutex<Vec<Received>>>,
    task: JoinHandle<()>,
    _forward: Forward,
}

#[derive(Deserialize)]
struct Came {
    peer: Option<String>,
    report: Report,
}

impl Reports {
    /// Follows the receiver of a namespace.
    pub async fn follow(mesh: &Mesh, namespace: &str) -> Result<Self> {
        let pod = mesh.pod(namespace, "app=receiver").await?;
        let forward = Forward::start(&mesh.client, namespace, &pod, PORT).await?;
        let client = Client::new(forward.address());
        let received = Arc::default();
        let task = tokio::spawn(follow(client, Arc::clone(&received)));
        Ok(Self { received, task, _forward: forward })
    }

    /// Everything, in order of arrival.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.received).clone()
    }

    /// The sums of all.
    pub fn totals(&self) -> Totals {
        Totals::of(lock(&self.received).iter().map(|it| &it.report))
    }

    /// VMs heard since then, by proxy.
    pub fn heard(&self, since: Instant) -> BTreeMap<String, BTreeSet<String>> {
        let mut heard = BTreeMap::<_, BTreeSet<_>>::new();
        for it in lock(&self.received).iter().filter(|it| it.at >= since) {
            heard.entry(it.report.proxy.clone()).or_default().insert(it.report.boot.clone());
        }
        heard
    }

    /// Waits until so many VMs have shown these rollouts since then; the arrival of the last of them.
    pub async fn acknowledged(
        &self,
        rollouts: &[Rollout],
        vms: usize,
        since: Instant,
    ) -> Result<Instant> {
        eventually(&format!("{vms} VMs to show the table"), async || {
            let first = self.first_showing(rollouts, since);
            ensure!(first.len() >= vms, "only {} of {vms} have shown it", first.len());
            Ok(first.into_values().max())
        })
        .await
        .with_context(|| self.explain())
    }

    /// Waits until what all reports say passes.
    pub async fn settled(&self, what: &str, passes: impl Fn(&Totals) -> bool) -> Result<Totals> {
        let reached = eventually(what, async || {
            let totals = self.totals();
            Ok(passes(&totals).then_some(totals))
        });
        let totals = reached.await.with_context(|| format!("{:#?}", self.totals()))?;
        ensure!(totals.fallen().is_empty(), "counts fell: {:?}", totals.fallen());
        Ok(totals)
    }

    /// When each VM first showed these rollouts.
    fn first_showing(&self, rollouts: &[Rollout], since: Instant) -> BTreeMap<String, Instant> {
        let shows = |report: &Report, wanted: &Rollout| {
            let mut shown = report.rollouts.iter();
            shown.any(|it| it.run == wanted.run && it.generation == wanted.generation)
        };
        let mut first = BTreeMap::new();
        for Received { at, report, .. } in lock(&self.received).iter() {
            let all = rollouts.iter().all(|wanted| shows(report, wanted));
            if *at >= since && report.problem.is_none() && all {
                first.entry(report.boot.clone()).or_insert(*at);
            }
        }
        first
    }

    fn explain(&self) -> String {
        let received = lock(&self.received);
        let last: Vec<_> = received.iter().rev().take(3).collect();
        format!("{} reports, the last ones {last:#?}", received.len())
    }
}

impl Drop for Reports {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks again and again; a receiver that does not answer is asked once more.
async fn follow(client: Client, received: Arc<Mutex<Vec<Received>>>) {
    loop {
        let from = lock(&received).len();
        match since(&client, from).await {
            Ok(came) => {
                let at = Instant::now();
                let came =
                    came.into_iter().map(|Came { peer, report }| Received { at, peer, report });
                lock(&received).extend(came);
            }
            Err(error) => {
                say(&format!("the receiver does not answer: {error:#}"));
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        }
    }
}

async fn since(client: &Client, from: usize) -> Result<Vec<Came>> {
    let answer = client.send(&Ask::get("receiver", &format!("/reports?from={from}"))).await?;
    serde_json::from_slice(&answer.body).context("the receiver's answer is no list of reports")
}
