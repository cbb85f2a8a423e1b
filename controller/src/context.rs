//! What all reconciliations share, and what is remembered of each Canary from one to the next.
//!
//! Everything here may be lost: a decision never depends on it. What is lost is applied, told or waited for once more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use kube::Client;
use serin_api::Canary;
use serin_rollout::{Desired, Ledger};
use tokio::sync::watch;

use crate::flagger::Flagger;
use crate::interests::{Interests, Key};
use crate::leadership::Leadership;
use crate::metrics::Metrics;
use crate::run::{Options, Shared};

/// What all reconciliations share.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) options: Options,
    pub(crate) interests: Arc<Interests>,
    /// Since when this process leads: what it has heard, it has heard since then.
    #[expect(dead_code, reason = "the receiver of reports and the acknowledgement will ask")]
    pub(crate) leadership: Leadership,
    /// Whether a Flagger serves its Canaries itself.
    pub(crate) flagger: watch::Sender<Flagger>,
    pub(crate) metrics: Arc<Metrics>,
    /// With the uid of the Canary that it is about.
    memories: Mutex<BTreeMap<Key, (String, SharedMemory)>>,
}

/// A Canary is reconciled by one task at a time, so nobody waits for this lock.
pub(crate) type SharedMemory = Arc<tokio::sync::Mutex<Memory>>;

/// What is remembered of a Canary.
#[derive(Default)]
pub(crate) struct Memory {
    /// The evidence.
    pub(crate) ledger: Ledger,
    /// The projection that was applied last, to its end.
    pub(crate) applied: Option<Desired>,
    /// The replicas of primary when it was last seen.
    pub(crate) primary_replicas: Option<i32>,
    /// What was told last of what it waits for, and of what went wrong.
    pub(crate) told: BTreeSet<String>,
    /// Failures in a row.
    pub(crate) failures: u32,
}

impl Context {
    pub(crate) fn new(client: Client, options: Options, shared: &Shared) -> Self {
        let (leadership, metrics) = (shared.leadership.clone(), Arc::clone(&shared.metrics));
        let (interests, memories) = (Arc::default(), Mutex::default());
        let flagger = watch::Sender::default();
        Self { client, options, interests, leadership, flagger, metrics, memories }
    }

    /// What is remembered of a Canary. One of the same name that is made later is another.
    pub(crate) fn memory(&self, canary: &Canary) -> SharedMemory {
        let uid = canary.metadata.uid.clone().unwrap_or_default();
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        let (of, memory) = memories.entry(Key::of(canary)).or_default();
        if *of != uid {
            (*of, *memory) = (uid, SharedMemory::default());
        }
        Arc::clone(memory)
    }

    /// The Canary is gone.
    pub(crate) fn forget(&self, canary: &Key) {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner).remove(canary);
        self.interests.forget(canary);
        self.metrics.forget(canary);
    }
}
