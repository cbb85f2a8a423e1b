//! Callers who never stop while a release goes on, and what became of each of their requests.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serin_e2e_apps::load::Outcome;

use super::target::Release;
use crate::{
    accesslog,
    load::{Order, Running},
    say,
};

/// In the second after the last ready pod of the canary has gone, its callers' proxies may not have heard of it yet.
const UNHEARD: Duration = Duration::from_secs(1);
/// How much later than it happened a thing is seen here.
const SEEN_WITHIN: Duration = Duration::from_millis(500);

/// How long after a moment of the story callers may still meet what it ended: proxies learn of it one by one.
pub const PROPAGATION: Duration = Duration::from_secs(2);

/// Loads under way.
pub struct Traffic<'r> {
    release: &'r Release<'r>,
    runs: Vec<Running>,
    began: Instant,
}

/// What became of all requests.
pub struct Counted {
    /// By load.
    pub outcomes: Vec<Outcome>,
    /// Those that failed in the caller's sidecar, by Envoy's response flags.
    pub flags: BTreeMap<String, u64>,
    test: String,
    began: Instant,
}

impl<'r> Traffic<'r> {
    /// Begins to send these from inside the mesh.
    pub fn inside(release: &'r Release<'r>, orders: impl IntoIterator<Item = Order>) -> Self {
        let began = Instant::now();
        let runs = orders.into_iter().map(|order| release.load.begin(order)).collect();
        Self { release, runs, began }
    }

    /// And this from this process, through the gateway.
    pub fn and_outside(mut self, order: &Order) -> Result<Self> {
        self.runs.push(order.begin_here()?);
        Ok(self)
    }

    /// Ends them.
    pub async fn stop(self) -> Result<Counted> {
        let Self { release, runs, began } = self;
        let mut outcomes = Vec::new();
        for run in runs {
            outcomes.push(run.stop().await?);
        }
        let space = release.space;
        let pod = space.mesh.pod(&space.name, "app=load").await?;
        let flags = accesslog::failures(space, &pod).await?;
        let counted = Counted { outcomes, flags, test: space.name.clone(), began };
        counted.tell();
        Ok(counted)
    }
}

impl Counted {
    /// Requests that were sent.
    pub fn sent(&self) -> u64 {
        self.outcomes.iter().map(|it| it.sent).sum()
    }

    /// Answers of a version.
    pub fn by(&self, version: &str) -> u64 {
        self.outcomes.iter().filter_map(|it| it.versions.get(version)).sum()
    }

    /// Failures that the app was told to make.
    pub fn failed_by_app(&self) -> u64 {
        self.outcomes.iter().map(|it| it.failures.app).sum()
    }

    /// When a version answered first, and last.
    pub fn span(&self, version: &str) -> Option<(Instant, Instant)> {
        self.join(self.outcomes.iter().filter_map(|it| it.version_span_s.get(version)).copied())
    }

    /// An error unless a version has answered, and did not any more from then on.
    pub fn ended(&self, version: &str, at: Instant) -> Result<()> {
        let (_, last) =
            self.span(version).with_context(|| format!("{version} has not answered"))?;
        let late = last.saturating_duration_since(at);
        ensure!(late < PROPAGATION, "{version} answered until {late:?} after its end");
        Ok(())
    }

    /// When a version answered one load first, and last.
    pub fn span_of(&self, load: usize, version: &str) -> Option<(Instant, Instant)> {
        let outcome = self.outcomes.get(load)?;
        self.join(outcome.version_span_s.get(version).into_iter().copied())
    }

    /// When the app failed as it was told, first and last.
    pub fn faults(&self) -> Option<(Instant, Instant)> {
        self.join(self.outcomes.iter().filter_map(|it| it.fault_span_s))
    }

    /// The promise of every release: an error unless each request was answered by the app, with success or with a
    /// failure that it was told to make.
    pub fn only_the_app_failed(&self) -> Result<()> {
        self.only_the_app_failed_but_after(&[])
    }

    /// The same, where Envoy's own answers are forgiven in the second after each of these times, at which the canary's
    /// last ready pod went: its callers had not heard of it.
    pub fn only_the_app_failed_but_after(&self, gone: &[Instant]) -> Result<()> {
        let spans: Vec<_> = gone.iter().map(|it| (*it, *it)).collect();
        self.only_the_app_failed_but_within(&spans)
    }

    /// The same, where they are forgiven from the beginning of each of these spans, at which a pod was lost, until the
    /// second after its end, at which that could be known. On a machine that is too busy, news travels no faster than
    /// answers do: as much later as the slowest of them took.
    pub fn only_the_app_failed_but_within(&self, lost: &[(Instant, Instant)]) -> Result<()> {
        for outcome in &self.outcomes {
            let unheard = UNHEARD + slowest(outcome);
            let is_within = |at: Instant, (from, to): &(Instant, Instant)| {
                at + SEEN_WITHIN >= *from && at <= *to + unheard + SEEN_WITHIN
            };
            let forgiven = |at: Instant| lost.iter().any(|span| is_within(at, span));
            let failures = outcome.failures;
            let told = || format!("{outcome:#?}, by Envoy's flags {:?}", self.flags);
            ensure!(
                outcome.sent > 0 && outcome.answered + failures.transport == outcome.sent,
                told()
            );
            ensure!(failures.unmarked == 0 && failures.transport == 0, told());
            let successes = outcome.status.get(&200).copied().unwrap_or(0);
            ensure!(successes + failures.app + failures.envoy == outcome.answered, told());
            ensure!(failures.envoy == outcome.otherwise_s.len() as u64, "so many? {}", told());
            let times = outcome.otherwise_s.iter().map(|it| self.at(*it));
            let (within, beyond): (Vec<_>, Vec<_>) = times.partition(|at| forgiven(*at));
            ensure!(
                beyond.is_empty(),
                "{} requests failed that no app failed: {}",
                beyond.len(),
                told()
            );
            if !within.is_empty() {
                let count = within.len();
                say(&format!(
                    "{}: Envoy failed {count} until a second after pods were lost",
                    self.test
                ));
            }
        }
        Ok(())
    }

    fn join(
        &self,
        spans: impl Iterator<Item = serin_e2e_apps::load::Span>,
    ) -> Option<(Instant, Instant)> {
        let both = spans.map(|it| (it.first, it.last));
        let (first, last) = both.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))?;
        Some((self.at(first), self.at(last)))
    }

    pub(super) fn at(&self, after_s: f64) -> Instant {
        self.began + Duration::from_secs_f64(after_s)
    }

    fn tell(&self) {
        for Outcome { url, elapsed_s, sent, skipped, versions, failures, .. } in &self.outcomes {
            say(&format!(
                "{}: {url} in {elapsed_s:.0} s: {sent} requests ({skipped} skipped), {versions:?}, {failures:?}",
                self.test
            ));
        }
    }
}

fn slowest(outcome: &Outcome) -> Duration {
    let slowest_ms = outcome.latency_ms.map_or(0.0, |it| it.max);
    Duration::from_secs_f64(slowest_ms / 1_000.0)
}
