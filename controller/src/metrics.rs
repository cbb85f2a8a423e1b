//! What monitoring sees: Flagger's metrics under their names, for people's dashboards and alerts go on, and ours.

mod calls;
mod canaries;
mod reporting;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use prometheus_client::encoding::{EncodeLabelSet, prometheus_text, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use serin_api::{Canary, Release};

use crate::decide::Decision;
use crate::feed::Feed;
use crate::interests::Key;

pub use calls::Calls;

use canaries::Canaries;
use reporting::Reporting;

/// What is counted and shown.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    canaries: Arc<Canaries>,
    reconciles: Family<ReconcileLabels, Counter>,
    leader: Gauge,
    yields: Gauge,
    calls: Calls,
    reports: Family<ReportLabels, Counter>,
    reporting: Arc<Reporting>,
}

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    /// `OpenMetrics` 1.0.
    OpenMetrics,
    /// Prometheus' older text.
    Prometheus,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReconcileLabels {
    group: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReportLabels {
    /// Of the answer: 200 is a report that was taken.
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FlaggerInfo {
    version: &'static str,
    mesh_provider: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let (canaries, reconciles) = (Arc::<Canaries>::default(), Family::default());
        let (leader, yields, calls) = (Gauge::default(), Gauge::default(), Calls::default());
        let (reports, reporting) = (Family::default(), Arc::<Reporting>::default());
        let mut registry = Registry::default();
        let version = env!("CARGO_PKG_VERSION");
        let flagger = Family::<FlaggerInfo, Gauge>::default();
        flagger.get_or_create(&FlaggerInfo { version, mesh_provider: "istio" }).set(1);
        registry.register("flagger_info", "The controller that serves Flagger's objects", flagger);
        registry.register_collector(Box::new(Arc::clone(&canaries)));
        registry.register_collector(Box::new(Arc::clone(&reporting)));
        let ours = registry.sub_registry_with_prefix("serin");
        ours.register("build", "The controller", Info::new([("version", version)]));
        ours.register("leader", "1 while this process leads", leader.clone());
        ours.register(
            "yields_to_flagger",
            "1 while nothing is done for Canaries of flagger.app because a Flagger runs",
            yields.clone(),
        );
        ours.register("reconciles", "Looks at a Canary", reconciles.clone());
        ours.register("api_requests", "Requests to the API server", calls.counts());
        ours.register("reports", "Reports of filters, by the answer", reports.clone());
        Self { registry, canaries, reconciles, leader, yields, calls, reports, reporting }
    }
}

impl Metrics {
    /// All of them, as text.
    pub fn expose(&self, exposition: Exposition) -> Result<String, fmt::Error> {
        let mut text = String::new();
        match exposition {
            Exposition::OpenMetrics => text::encode(&mut text, &self.registry)?,
            Exposition::Prometheus => prometheus_text::encode(&mut text, &self.registry)?,
        }
        Ok(text)
    }

    /// Counts the requests of the client that it is put around.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// This process leads, or does no longer: then others know about the Canaries.
    pub(crate) fn leads(&self, hears: Option<&Arc<Feed>>) {
        self.leader.set(hears.is_some().into());
        self.reporting.follow(hears);
        self.canaries.clear();
        self.yields.set(0);
    }

    /// Something was posted where reports are.
    pub(crate) fn reported(&self, status: StatusCode) {
        self.reports.get_or_create(&ReportLabels { code: status.as_u16() }).inc();
    }

    /// Flagger serves its Canaries itself.
    pub(crate) fn yields(&self, yields: bool) {
        self.yields.set(yields.into());
    }

    /// A Canary was looked at.
    pub(crate) fn looked(&self, canary: &Key, ended: &'static str, took: Duration) {
        let labels = ReconcileLabels { group: canary.group.name(), outcome: ended };
        self.reconciles.get_or_create(&labels).inc();
        self.canaries.looked(canary, took);
    }

    /// What is committed of it.
    pub(crate) fn committed(&self, canary: &Canary, release: &Release, decision: &Decision) {
        self.canaries.committed(canary, release, decision);
    }

    /// The Canary is gone, and its series with it.
    pub(crate) fn forget(&self, canary: &Key) {
        self.canaries.forget(canary);
    }
}
