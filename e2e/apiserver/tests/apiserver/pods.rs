//! Pods become ready although nothing runs them: what a kubelet would say, said for all pods of a namespace. Deployments
//! and their `ReplicaSet`s are the controller manager's own.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::{Value, json};
use serin_cluster::apiserver::ApiServer;
use serin_e2e_apiserver::is;

const LOOKED_AT_EVERY: Duration = Duration::from_millis(100);

/// Says that pods are ready until it is dropped.
pub(crate) struct Pods {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pods {
    pub(crate) fn ready_in(server: &Arc<ApiServer>, namespace: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (server, until) = (Arc::clone(server), Arc::clone(&stop));
        let pods = format!("/api/v1/namespaces/{namespace}/pods");
        let thread = thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                for name in waiting(&server, &pods) {
                    // One that was deleted meanwhile needs nothing.
                    let _ = server.merge(&format!("{pods}/{name}/status"), &ready());
                }
                thread::sleep(LOOKED_AT_EVERY);
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Pods {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn waiting(server: &ApiServer, pods: &str) -> BTreeSet<String> {
    let list = server.get(pods).unwrap_or_default();
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let waiting = items.into_iter().filter(|pod| !is(pod, "Ready"));
    waiting.filter_map(|pod| pod["metadata"]["name"].as_str().map(str::to_owned)).collect()
}

fn ready() -> Value {
    let condition = json!({
        "type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    json!({ "status": { "phase": "Running", "conditions": [condition] } })
}
