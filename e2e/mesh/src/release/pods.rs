//! The pods of the version under trial, as the API server shows them: when none was ready any more, and when one
//! crashed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::{Api, ResourceExt, api::ListParams};
use serde_json::Value;
use tokio::{task::JoinHandle, time::sleep};

use super::target::APP;
use crate::{eventually, forward::Forward, load::exchange, space::Space};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// The app's port.
const PORT: u16 = 8080;

/// Pods that are looked at for as long as this lives.
pub struct Pods<'s> {
    space: &'s Space,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    ready: usize,
    gone: Vec<Instant>,
    /// Of each container's life, by its pod and the restarts before: when it crashed and when that was seen to matter.
    crashes: BTreeMap<(String, i32), (Instant, Option<Instant>)>,
}

impl<'s> Pods<'s> {
    /// Begins to look at the pods of the target's Deployment.
    pub fn follow(space: &'s Space) -> Self {
        let pods: Api<Pod> = space.mesh.api(&space.name);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let kept = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let of_the_app = ListParams::default().labels(&format!("app={APP}"));
            loop {
                if let Ok(found) = pods.list(&of_the_app).await {
                    lock(&kept).look(&found.items);
                }
                sleep(LOOK).await;
            }
        });
        Self { space, seen, task }
    }

    /// Has each of them meet what this orders, as `faulty --help` says.
    pub async fn order(&self, path: &str, body: &Value) -> Result<()> {
        let Space { mesh, name, .. } = self.space;
        let pods: Api<Pod> = mesh.api(name);
        let found = pods.list(&ListParams::default().labels(&format!("app={APP}"))).await?;
        ensure!(!found.items.is_empty(), "there are none");
        for pod in found.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()) {
            let forward = Forward::start(&mesh.client, name, &pod.name_any(), PORT).await?;
            // One that crashes does not answer.
            let _ = exchange(forward.address(), path, body).await;
        }
        Ok(())
    }

    /// Waits until there have been so many crashes.
    pub async fn crashed(&self, count: usize) -> Result<()> {
        eventually(&format!("{count} crashes"), async || {
            let crashes = lock(&self.seen).crashes.len();
            ensure!(crashes >= count, "there were {crashes}");
            Ok(Some(()))
        })
        .await
    }

    /// Waits until so many are ready.
    pub async fn ready(&self, count: usize) -> Result<()> {
        eventually(&format!("{count} pods to be ready"), async || {
            let ready = lock(&self.seen).ready;
            ensure!(ready == count, "{ready} are");
            Ok(Some(()))
        })
        .await
    }

    /// When the last ready pod went, each time.
    pub fn gone(&self) -> Vec<Instant> {
        lock(&self.seen).gone.clone()
    }

    /// From each crash until it was to be seen that its pod could not serve.
    pub fn crashes(&self) -> Vec<(Instant, Instant)> {
        let now = Instant::now();
        lock(&self.seen).crashes.values().map(|(at, seen)| (*at, seen.unwrap_or(now))).collect()
    }
}

impl Drop for Pods<'_> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Seen {
    fn look(&mut self, pods: &[Pod]) {
        let now = Instant::now();
        let living = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
        let mut ready = 0;
        for (pod, container) in living.filter_map(|pod| Some((pod, app(pod)?))) {
            ready += usize::from(is_ready(pod));
            self.look_for_a_crash(pod, container, now);
        }
        if ready == 0 && self.ready > 0 {
            self.gone.push(now);
        }
        self.ready = ready;
    }

    fn look_for_a_crash(&mut self, pod: &Pod, container: &ContainerStatus, now: Instant) {
        let ended = |state: &Option<k8s_openapi::api::core::v1::ContainerState>| {
            state.as_ref().and_then(|it| it.terminated.as_ref()?.finished_at.clone())
        };
        // Running again, it tells of the life before.
        let (lives, at) = match (ended(&container.state), ended(&container.last_state)) {
            (Some(at), _) => (container.restart_count, at),
            (None, Some(at)) => (container.restart_count - 1, at),
            (None, None) => return,
        };
        let crash =
            self.crashes.entry((pod.name_any(), lives)).or_insert((before(at.0, now), None));
        // Ready again already, it was unready for less than a look.
        if crash.1.is_none() && (!is_ready(pod) || container.restart_count > lives) {
            crash.1 = Some(now);
        }
    }
}

/// A time by the node's clock, in whole seconds, as one of ours.
fn before(at: Timestamp, now: Instant) -> Instant {
    let ago = Timestamp::now().duration_since(at);
    now.checked_sub(Duration::try_from(ago).unwrap_or_default()).unwrap_or(now)
}

fn app(pod: &Pod) -> Option<&ContainerStatus> {
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    containers.iter().find(|it| it.name == "app")
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|it| it.conditions.as_ref());
    conditions.into_iter().flatten().any(|it| it.type_ == "Ready" && it.status == "True")
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
