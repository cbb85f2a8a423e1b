//! Whether this process leads, and since when; and its pod says so by a label, which is how reports find the one who
//! leads.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use kube::{Api, Error};
use serde_json::json;
use serin_api::keys;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::resources::words;

const RETRY: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_mins(1);
const FAREWELL: Duration = Duration::from_secs(2);

/// Since when this process leads, for everybody who asks.
#[derive(Clone, Debug)]
pub struct Leadership(watch::Receiver<Option<Timestamp>>);

impl Leadership {
    /// And who may change it.
    pub(crate) fn new() -> (watch::Sender<Option<Timestamp>>, Self) {
        let (sender, receiver) = watch::channel(None);
        (sender, Self(receiver))
    }

    /// Since when this process leads; none if it does not.
    pub fn since(&self) -> Option<Timestamp> {
        *self.0.borrow()
    }

    /// Until that is different from what was asked last; never again if nobody can change it any more.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// As [`Self::since`]; what comes later is a change.
    fn look(&mut self) -> Option<Timestamp> {
        *self.0.borrow_and_update()
    }
}

/// The label of our own pod.
pub(crate) struct Badge {
    pods: Api<Pod>,
    pod: String,
}

impl Badge {
    pub(crate) fn new(pods: Api<Pod>, pod: String) -> Self {
        Self { pods, pod }
    }

    /// Keeps the label as it should be. A container that was restarted may find one of its past.
    pub(crate) async fn follow(&self, mut leadership: Leadership) {
        loop {
            let leads = leadership.look().is_some();
            tokio::select! {
                () = leadership.changed() => {}
                () = self.insist(leads) => leadership.changed().await,
            }
        }
    }

    /// Takes it off, if there is time.
    pub(crate) async fn take_off(&self) {
        if !matches!(timeout(FAREWELL, self.wear(false)).await, Ok(Ok(()))) {
            tracing::warn!(pod = self.pod, "label {} stays on this pod", keys::LEADER);
        }
    }

    async fn insist(&self, leads: bool) {
        let mut wait = RETRY;
        while let Err(error) = self.wear(leads).await {
            let (error, pod, label) = (words(&error), &self.pod, keys::LEADER);
            tracing::warn!(
                pod,
                error,
                "label {label} cannot be set: no report will find the leader"
            );
            tokio::time::sleep(wait).await;
            wait = (2 * wait).min(RETRY_MAX);
        }
    }

    async fn wear(&self, leads: bool) -> Result<(), Error> {
        let label = json!({ "metadata": { "labels": { keys::LEADER: leads.then_some("true") } } });
        let params = PatchParams {
            field_manager: Some(keys::FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        self.pods.patch_metadata(&self.pod, &params, &Patch::Merge(label)).await.map(drop)
    }
}
