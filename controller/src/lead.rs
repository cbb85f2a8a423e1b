//! The loop around [`crate::lease`]: it watches the Lease, writes what it is told to, and says until when this process
//! leads. What it believes may be old; a write with the version that it knows finds out.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::PostParams;
use kube::core::ObjectMeta;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Error};
use serin_api::keys;
use thiserror::Error as ThisError;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::clock::Steady;
use crate::health::Health;
use crate::lease::{Action, Held, Terms, leads_until, next_action, released};
use crate::resources::words;

/// A call that hangs leaves time for another one before the deadline.
const CALL: Duration = Duration::from_secs(4);
/// A process that was asked to stop has no time to lose.
const FAREWELL: Duration = Duration::from_secs(2);

/// Who stands for election, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Election {
    /// Where the Lease is.
    pub namespace: String,
    /// A name that no other process has.
    pub me: String,
    /// How long everything lasts.
    pub terms: Terms,
}

/// One who would lead.
pub(crate) struct Candidate {
    leases: Api<Lease>,
    election: Election,
    clock: Steady,
    known: Known,
    changes: BoxStream<'static, watcher::Result<Option<Lease>>>,
    health: Arc<Health>,
}

/// What is known of the Lease.
enum Known {
    Nothing,
    Absent,
    Lease { metadata: Box<ObjectMeta>, held: Held },
}

#[derive(Debug, ThisError)]
enum LeaseError {
    #[error("{}", words(.0))]
    Cluster(#[from] Error),
    #[error("{0}")]
    Watch(#[from] watcher::Error),
    #[error("no answer within {} s", CALL.as_secs())]
    Silence(#[from] tokio::time::error::Elapsed),
}

impl Candidate {
    pub(crate) fn new(client: &Client, election: Election, health: Arc<Health>) -> Self {
        let leases: Api<Lease> = Api::namespaced(client.clone(), &election.namespace);
        let changes = watcher::watch_object(leases.clone(), keys::LEASE).default_backoff().boxed();
        let (clock, known) = (Steady::start(), Known::Nothing);
        Self { leases, election, clock, known, changes, health }
    }

    /// Until this process leads. May be dropped and called again.
    pub(crate) async fn acquire(&mut self) {
        while self.deadline().is_none() {
            self.turn().await;
        }
    }

    /// For as long as this process leads. A call may hang; the deadline does not wait for it.
    pub(crate) async fn keep(&mut self) {
        while let Some(deadline) = self.deadline() {
            let _ = timeout_at(deadline, self.turn()).await;
        }
    }

    /// Gives the Lease up, so that nobody has to wait for it to run out.
    pub(crate) async fn release(&mut self) {
        let given_up = timeout(FAREWELL, self.give_up()).await.map_err(LeaseError::from);
        if let Err(error) = given_up.flatten() {
            let seconds = self.election.terms.duration.as_secs();
            tracing::warn!(%error, "the lease is not given up: the next one waits {seconds} s");
        }
    }

    /// Until when this process may act, if it still may.
    fn deadline(&self) -> Option<Instant> {
        let until = leads_until(self.known.held(), &self.election.me, self.election.terms)?;
        (self.clock.now() < until).then(|| self.clock.instant(until))
    }

    async fn turn(&mut self) {
        self.health.beat();
        let now = self.clock.now();
        let outcome = match self.action(now) {
            Action::Wait(until) => self.look(until).await,
            Action::Create(spec) | Action::Take(spec) | Action::Renew(spec) => {
                self.write(spec, now).await
            }
        };
        if let Err(error) = outcome {
            self.health.failed(&error);
            // The watch may know more by then.
            let _ = self.look(later(self.clock.now(), self.election.terms.retry)).await;
        }
    }

    fn action(&self, now: Timestamp) -> Action {
        let Election { me, terms, .. } = &self.election;
        match &self.known {
            Known::Nothing => Action::Wait(later(now, terms.retry)),
            known => next_action(known.held(), me, *terms, now),
        }
    }

    /// Waits until then, or until the Lease changes.
    async fn look(&mut self, until: Timestamp) -> Result<(), LeaseError> {
        tokio::select! {
            Some(change) = self.changes.next() => self.saw(change?),
            () = sleep_until(self.clock.instant(until)) => {}
        }
        Ok(())
    }

    /// Writes it as it should be; if somebody was faster, reads what it is now.
    async fn write(&mut self, spec: LeaseSpec, began: Timestamp) -> Result<(), LeaseError> {
        let spec = Some(spec);
        let written = match &self.known {
            Known::Lease { metadata, .. } => {
                let lease = Lease { metadata: (**metadata).clone(), spec };
                timeout(CALL, self.leases.replace(keys::LEASE, &params(), &lease)).await?
            }
            Known::Nothing | Known::Absent => {
                let name = Some(keys::LEASE.to_owned());
                let lease = Lease { metadata: ObjectMeta { name, ..ObjectMeta::default() }, spec };
                timeout(CALL, self.leases.create(&params(), &lease)).await?
            }
        };
        match written {
            Ok(lease) => self.known = Known::lease(lease, began),
            Err(Error::Api(status)) if self.is_old_news(status.code) => {
                let lease = timeout(CALL, self.leases.get_opt(keys::LEASE)).await??;
                self.saw(lease);
            }
            Err(error) => return Err(error.into()),
        }
        self.health.reached();
        Ok(())
    }

    /// Whether a refusal says that the Lease is not what we knew.
    fn is_old_news(&self, code: u16) -> bool {
        code == 409 || code == 404 && matches!(self.known, Known::Lease { .. })
    }

    /// What the API server says that the Lease is.
    fn saw(&mut self, lease: Option<Lease>) {
        self.health.reached();
        self.known = match (lease, &self.known) {
            (None, _) => Known::Absent,
            (Some(lease), known) if known.is_as_new_as(&lease.metadata) => return,
            (Some(lease), known) => {
                let me = Some(self.election.me.as_str());
                let holder = |spec: &LeaseSpec| spec.holder_identity.as_deref() == me;
                let since = if lease.spec.as_ref().is_some_and(holder) {
                    // A write of ours whose answer was lost, or of a process before us with our name. Others may have
                    // seen it long ago: it prolongs nothing, and is renewed first.
                    let ours = known.held().filter(|held| holder(&held.spec));
                    ours.map_or(Timestamp::MIN, |held| held.since)
                } else {
                    self.clock.now()
                };
                Known::lease(lease, since)
            }
        };
    }

    async fn give_up(&mut self) -> Result<(), LeaseError> {
        // What is known may be older than a write of ours that was broken off.
        let Some(lease) = self.leases.get_opt(keys::LEASE).await? else { return Ok(()) };
        let now = self.clock.now();
        let held = Held { spec: lease.spec.clone().unwrap_or_default(), since: now };
        let Some(spec) = released(Some(&held), &self.election.me, now) else { return Ok(()) };
        let lease = Lease { spec: Some(spec), ..lease };
        self.leases.replace(keys::LEASE, &params(), &lease).await?;
        self.known = Known::Nothing;
        Ok(())
    }
}

impl Known {
    fn lease(lease: Lease, since: Timestamp) -> Self {
        let held = Held { spec: lease.spec.unwrap_or_default(), since };
        Self::Lease { metadata: Box::new(lease.metadata), held }
    }

    fn held(&self) -> Option<&Held> {
        match self {
            Self::Lease { held, .. } => Some(held),
            Self::Nothing | Self::Absent => None,
        }
    }

    /// A watch may tell of our own writes, late.
    fn is_as_new_as(&self, other: &ObjectMeta) -> bool {
        let Self::Lease { metadata, .. } = self else { return false };
        if metadata.uid != other.uid {
            return false;
        }
        let number = |it: &ObjectMeta| it.resource_version.as_deref()?.parse::<u64>().ok();
        match (number(metadata), number(other)) {
            (Some(known), Some(other)) => known >= other,
            _ => metadata.resource_version == other.resource_version,
        }
    }
}

fn params() -> PostParams {
    PostParams { field_manager: Some(keys::FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

fn later(moment: Timestamp, by: SignedDuration) -> Timestamp {
    moment.saturating_add(by).unwrap_or(Timestamp::MAX)
}
