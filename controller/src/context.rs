//! What all reconciliations share, and what is remembered of each Canary from one to the next.
//!
//! Everything here may be lost: a decision never depends on it. What is lost is applied, told or waited for once more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use kube::Client;
use serin_api::Canary;
use serin_probe::Network;
use serin_rollout::{Desired, Ledger};

use crate::interests::{Interests, Key};
use crate::probes::{Asked, Probes};
use crate::run::Options;
use crate::templates::Templates;
use crate::wake::Wake;

/// What all reconciliations share.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) options: Options,
    pub(crate) interests: Arc<Interests>,
    pub(crate) probes: Probes,
    pub(crate) templates: Templates,
    pub(crate) wake: Wake,
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
    /// What it wants to know.
    pub(crate) asked: Asked,
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
    pub(crate) fn new(client: Client, options: Options, network: Network) -> Self {
        let wake = Wake::default();
        let event_webhook = options.event_webhook.as_deref();
        Self {
            probes: Probes::new(network, client.clone(), wake.clone(), event_webhook),
            templates: Templates::new(wake.clone()),
            wake,
            client,
            options,
            interests: Arc::default(),
            memories: Mutex::default(),
        }
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
        self.templates.forget(canary);
    }
}
