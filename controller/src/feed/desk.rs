//! Who may report: a scope's filters, by its token; and where the sender is known, for its own namespace only.

use std::sync::Arc;

use hyper::StatusCode;
use serin_receiver::{Arrival, Denial, Desk};
use tokio::sync::watch;

use super::Feed;
use crate::clock;
use crate::metrics::Metrics;
use crate::scope::Scope;

/// The desk of this process, which leads or does not.
pub(crate) struct Gate {
    feed: watch::Receiver<Option<Arc<Feed>>>,
    metrics: Arc<Metrics>,
}

impl Gate {
    pub(crate) fn new(feed: watch::Receiver<Option<Arc<Feed>>>, metrics: Arc<Metrics>) -> Self {
        Self { feed, metrics }
    }
}

impl Desk for Gate {
    type Pass = (Arc<Feed>, Scope);

    fn admit(&self, token: Option<&str>) -> Result<Self::Pass, Denial> {
        let feed = self.feed.borrow().clone();
        let feed = feed.ok_or_else(|| Denial::unavailable("another process leads"))?;
        let scope = feed.scope_of(token.unwrap_or_default())?;
        Ok((feed, scope))
    }

    fn take(&self, (feed, scope): Self::Pass, arrival: Arrival) -> Result<(), Denial> {
        let Arrival { peer, report, .. } = arrival;
        let (name, namespace) = (scope.name(), &report.namespace);
        if report.scope != name {
            let why = format!("the token is of scope {name}, the report of {}", report.scope);
            return Err(Denial::forbidden(why));
        }
        if let Scope::Namespace(home) = &scope
            && home != namespace
        {
            let why = format!("namespace {namespace:?} does not lie within scope {name}");
            return Err(Denial::forbidden(why));
        }
        if let Some(peer) = peer
            && peer.namespace != *namespace
        {
            let why = format!("{} reports for namespace {namespace:?}", peer.namespace);
            return Err(Denial::forbidden(why));
        }
        feed.enter(&scope, &report, clock::now());
        Ok(())
    }

    fn answered(&self, status: StatusCode) {
        self.metrics.reported(status);
    }
}
