//! What happened lately: the canary's traffic for classical checks, and the rate of all traffic.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serin_route::Assignment;
use serin_stats::Counts;

use super::strata::{Strata, Stratum, Tally};
use crate::clock::since;

/// Samples kept: one each second for a check over one minute, fewer for longer ones.
const SAMPLES: u32 = 64;
/// The span over which rates are measured.
const LATELY: Duration = Duration::from_secs(5);
/// A report period: the first counts that arrive are as old as this.
const PERIOD: Duration = Duration::from_secs(1);

/// Cumulative counts of the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Totals {
    /// The canary's traffic, however it was assigned.
    canary: Tally,
    /// Requests of both tracks that were drawn, by key or alone.
    drawn: u64,
    /// Units that were drawn: requests without a key, and users. One user's requests are no more than one user.
    units_canary: Counts,
    units_primary: Counts,
}

impl Totals {
    fn take(&mut self, stratum: &Stratum) {
        self.canary.add(&stratum.canary);
        let (canary, primary) = (stratum.canary.errors(), stratum.primary.errors());
        if matches!(stratum.assignment, Assignment::Weight | Assignment::Sticky) {
            self.drawn = self.drawn.saturating_add(canary.plus(primary).exposed);
        }
        if stratum.assignment == Assignment::Weight {
            self.take_units(canary, primary);
        }
    }

    fn take_units(&mut self, canary: Counts, primary: Counts) {
        self.units_canary = self.units_canary.plus(canary);
        self.units_primary = self.units_primary.plus(primary);
    }
}

/// Samples of the totals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Window {
    totals: Totals,
    samples: VecDeque<(Timestamp, Totals)>,
}

/// What was drawn during the last seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Lately {
    /// Units, not requests.
    pub(crate) canary: Counts,
    /// Units, not requests.
    pub(crate) primary: Counts,
    /// Requests per second, both tracks.
    pub(crate) rate: f64,
}

impl Window {
    /// Takes new counts.
    pub(crate) fn add(&mut self, fresh: &[Strata], now: Timestamp) {
        for strata in fresh {
            strata.parts.iter().for_each(|stratum| self.totals.take(stratum));
            self.totals.take_units(strata.users.canary, strata.users.primary);
        }
        if !fresh.is_empty() && self.samples.is_empty() {
            let period = SignedDuration::try_from(PERIOD).unwrap_or_default();
            let start = now.checked_sub(period).unwrap_or(now);
            self.samples.push_back((start, Totals::default()));
            self.samples.push_back((now, self.totals.clone()));
        }
    }

    /// Keeps a sample, if it is time for one; they reach back at least `span`.
    pub(crate) fn sample(&mut self, span: Duration, now: Timestamp) {
        let Some((last, _)) = self.samples.back() else { return };
        let spacing = span.checked_div(SAMPLES.saturating_sub(2)).unwrap_or(span).max(PERIOD);
        if since(*last, now) >= spacing {
            self.samples.push_back((now, self.totals.clone()));
        }
        while self.samples.len() > SAMPLES as usize {
            self.samples.pop_front();
        }
    }

    /// Percent of the canary's requests that did not fail; none without requests.
    pub(crate) fn success_rate(&self, span: Duration, now: Timestamp) -> Option<f64> {
        let (_, then) = self.back_to(span, now)?;
        let requests = self.totals.canary.requests.checked_sub(then.canary.requests)?;
        let failures = self.totals.canary.failures.saturating_sub(then.canary.failures);
        Some(100.0 - 100.0 * Counts::new(requests, failures).rate()?)
    }

    /// The canary's 99th percentile in milliseconds, interpolated between edges; the last edge if it lies beyond, none
    /// without requests.
    pub(crate) fn duration_99(
        &self,
        edges_ms: &[u32],
        span: Duration,
        now: Timestamp,
    ) -> Option<f64> {
        const BEYOND: f64 = 0.01;
        let (_, then) = self.back_to(span, now)?;
        let (mut lower_ms, mut lower_share) = (0.0, 1.0);
        for (index, edge_ms) in edges_ms.iter().enumerate() {
            let now = self.totals.canary.edges.get(index).copied()?;
            let then = then.canary.edges.get(index).copied().unwrap_or_default();
            let exposed = now.exposed.saturating_sub(then.exposed);
            let share = Counts::new(exposed, now.bad.saturating_sub(then.bad)).rate()?;
            let upper_ms = f64::from(*edge_ms);
            if share <= BEYOND {
                let part = (lower_share - BEYOND) / (lower_share - share);
                return Some(lower_ms + (upper_ms - lower_ms) * part.clamp(0.0, 1.0));
            }
            (lower_ms, lower_share) = (upper_ms, share);
        }
        edges_ms.last().map(|edge_ms| f64::from(*edge_ms))
    }

    /// The last seconds; none before the first counts.
    pub(crate) fn lately(&self, now: Timestamp) -> Option<Lately> {
        let (at, then) = self.recent(now)?;
        let less = |now: Counts, then: Counts| {
            let bad = now.bad.saturating_sub(then.bad);
            Counts::new(now.exposed.saturating_sub(then.exposed), bad)
        };
        let canary = less(self.totals.units_canary, then.units_canary);
        let primary = less(self.totals.units_primary, then.units_primary);
        let seconds = since(at, now).max(PERIOD).as_secs_f64();
        let rate = self.totals.drawn.saturating_sub(then.drawn) as f64 / seconds;
        Some(Lately { canary, primary, rate })
    }

    /// What the last seconds are counted from. In the first of them from the first counts on, for it is not known how
    /// long those took; in the very first from a period before.
    fn recent(&self, now: Timestamp) -> Option<(Timestamp, &Totals)> {
        let (first, _) = self.samples.get(1)?;
        let age = since(*first, now);
        if age >= LATELY || age < PERIOD {
            return self.back_to(LATELY, now);
        }
        self.samples.get(1).map(|(at, totals)| (*at, totals))
    }

    /// The newest sample that is at least `span` old, else the oldest.
    fn back_to(&self, span: Duration, now: Timestamp) -> Option<(Timestamp, &Totals)> {
        let old = self.samples.iter().rev().find(|(at, _)| since(*at, now) >= span);
        old.or_else(|| self.samples.front()).map(|(at, totals)| (*at, totals))
    }
}
