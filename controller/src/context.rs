//! What all reconciliations share, and what is remembered of each Canary from one to the next.
//!
//! Everything here may be lost: a decision never depends on it. What is lost is applied, told or waited for once more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use kube::Client;
use kube::runtime::reflector::Store;
use serin_api::{Canary, Group};
use serin_probe::Network;
use serin_rollout::{Desired, Ledger};
use tokio::sync::watch;

use crate::apply::Written;
use crate::feed::Feed;
use crate::flagger::Flagger;
use crate::guarded::Guarded;
use crate::interests::{Interests, Key};
use crate::metrics::Metrics;
use crate::observe::Kept;
use crate::probes::{Asked, Probes};
use crate::run::{Options, Shared};
use crate::scopes::Scopes;
use crate::templates::Templates;
use crate::tokens::Tokens;
use crate::wake::Wake;

/// What all reconciliations share.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) options: Options,
    pub(crate) interests: Arc<Interests>,
    /// What filters have said in this term of leading.
    pub(crate) feed: Arc<Feed>,
    pub(crate) scopes: Scopes,
    /// The keys of the filters' tokens, once they are known.
    pub(crate) tokens: watch::Sender<Option<Tokens>>,
    /// Whether a Flagger serves its Canaries itself.
    pub(crate) flagger: watch::Sender<Flagger>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) probes: Probes,
    pub(crate) templates: Templates,
    pub(crate) wake: Wake,
    /// With the uid of the Canary that it is about.
    memories: Mutex<BTreeMap<Key, (String, SharedMemory)>>,
    /// What was told last of Canaries that do not read.
    unreadable: Mutex<BTreeMap<Key, String>>,
    /// The Canaries of each group, as far as they are known.
    stores: Mutex<BTreeMap<Group, Store<Guarded>>>,
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
    /// What was seen last, while it is likely to be asked for again.
    pub(crate) seen: Option<Kept>,
    /// The objects that were all as they should be when that was seen, in short.
    pub(crate) settled: Option<u64>,
    /// What was written of each object, and how it looked afterwards.
    pub(crate) written: Written,
    /// The replicas of primary when it was last seen.
    pub(crate) primary_replicas: Option<i32>,
    /// What was told last of what it waits for, and of what went wrong.
    pub(crate) told: BTreeSet<String>,
    /// Failures in a row.
    pub(crate) failures: u32,
    /// Of a Canary that is deleted: when its traffic was moved last, or first looked at.
    pub(crate) moved: Option<Timestamp>,
}

impl Context {
    pub(crate) fn new(client: Client, options: Options, network: Network, shared: &Shared) -> Self {
        let wake = Wake::default();
        let event_webhook = options.event_webhook.as_deref();
        let feed = Feed::new(options.installation.hints());
        Self {
            probes: Probes::new(network, client.clone(), wake.clone(), event_webhook),
            templates: Templates::new(wake.clone()),
            wake,
            client,
            options,
            interests: Arc::default(),
            feed: Arc::new(feed),
            scopes: Scopes::default(),
            tokens: watch::Sender::default(),
            flagger: watch::Sender::default(),
            metrics: Arc::clone(&shared.metrics),
            memories: Mutex::default(),
            unreadable: Mutex::default(),
            stores: Mutex::default(),
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

    /// Whether a Canary that does not read is to be told of: the same was not told before.
    pub(crate) fn is_news(&self, canary: &Key, line: &str) -> bool {
        let mut told = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(canary.clone(), line.to_owned()).as_deref() != Some(line)
    }

    /// The Canary reads (again).
    pub(crate) fn reads(&self, canary: &Key) {
        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner).remove(canary);
    }

    /// The Canaries of a group, as its watch shows them.
    pub(crate) fn keep_store(&self, group: Group, store: Store<Guarded>) {
        self.stores.lock().unwrap_or_else(PoisonError::into_inner).insert(group, store);
    }

    /// See [`Self::keep_store`]; none before its watch has begun.
    pub(crate) fn store(&self, group: Group) -> Option<Store<Guarded>> {
        self.stores.lock().unwrap_or_else(PoisonError::into_inner).get(&group).cloned()
    }

    /// The Canary is gone.
    pub(crate) fn forget(&self, canary: &Key) {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner).remove(canary);
        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner).remove(canary);
        self.interests.forget(canary);
        self.metrics.forget(canary);
        self.templates.forget(canary);
        self.scopes.forget(canary);
    }
}
