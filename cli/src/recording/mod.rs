//! What a release looked like, second by second: all that the report page needs, and nothing it could not draw.
//!
//! Reports are cumulative; a recording keeps the differences between them. Its memory is bounded: when a release is
//! long, old seconds are merged into longer spans, so that sums stay exact and only the resolution suffers.
//! Nothing here reads a clock, decides anything or touches the disk.

mod failures;
mod point;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serin_rollout::{GenerationTraffic, Notice, NoticeKind, Phase, Plan, Status, Traffic, Verdict};
use serin_route::{Assignment, Cell, Latency, Track, Weight};

use failures::Failures;
pub(crate) use failures::RouteRow;
pub(crate) use point::{Point, Tally, Tracks};

/// A release's points, decisions and failures.
#[derive(Clone, Debug)]
pub struct Recording {
    pub(crate) title: String,
    pub(crate) canary_yaml: String,
    pub(crate) limits: Limits,
    pub(crate) edges_ms: Vec<u32>,
    pub(crate) facts: Vec<(String, String)>,
    pub(crate) revision: String,
    pub(crate) phase: Phase,
    pub(crate) started: Option<Timestamp>,
    pub(crate) ended: Option<Timestamp>,
    /// Seconds that one point spans.
    pub(crate) span_s: u32,
    pub(crate) points: Vec<Point>,
    pub(crate) weights: Vec<WeightChange>,
    pub(crate) notices: Vec<Notice>,
    /// Notices that were dropped for want of space.
    pub(crate) notices_dropped: u64,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) failures: Failures,
    cells: BTreeMap<CellKey, Cell>,
}

/// Where evidence acts, as ln E.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limits {
    pub(crate) quarantine: f64,
    pub(crate) rollback: f64,
}

/// The new version's share of traffic from a time on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct WeightChange {
    pub(crate) at_s: f64,
    pub(crate) weight: Weight,
}

/// One cell of one generation.
type CellKey = (u64, Track, Assignment, Option<String>);

/// Two of these for each pixel of the page's charts would be wasted.
const POINTS_MAX: usize = 900;
/// A schedule has fewer steps; what exceeds this is thinned like the points.
const WEIGHTS_MAX: usize = 500;
/// As many as the analysis keeps of a rollout's verdicts.
const NOTICES_MAX: usize = 500;

impl Recording {
    /// An empty recording. `canary_yaml` is shown as it is.
    pub fn new(title: &str, canary_yaml: &str, plan: &Plan) -> Self {
        Self {
            title: title.to_owned(),
            canary_yaml: canary_yaml.to_owned(),
            limits: Limits {
                quarantine: -plan.evidence.alpha_quarantine.ln(),
                rollback: -plan.evidence.alpha_rollback.ln(),
            },
            edges_ms: plan.routing.edges_ms.clone(),
            facts: Vec::new(),
            revision: String::new(),
            phase: Phase::Initializing,
            started: None,
            ended: None,
            span_s: 1,
            points: Vec::new(),
            weights: Vec::new(),
            notices: Vec::new(),
            notices_dropped: 0,
            verdict: None,
            failures: Failures::default(),
            cells: BTreeMap::new(),
        }
    }

    /// Takes the counts as of `now`; time runs from the first call in which there is a run.
    pub fn sample(
        &mut self,
        now: Timestamp,
        status: &Status,
        traffic: &Traffic,
        verdict: Option<&Verdict>,
    ) {
        let Some(run) = &status.run else { return };
        self.revision.clone_from(&run.revision);
        self.phase = status.phase;
        let at_s = self.at(now);
        self.weigh(at_s, share(status.phase, run.weight));
        let new = self.new_counts(traffic);
        let point = self.point(at_s);
        point.tracks.add(&new);
        if let Some(verdict) = verdict {
            point.ln_e = Some(verdict.ln_e);
            point.ln_e_capped = Some(verdict.ln_e_capped);
            self.verdict = Some(verdict.clone());
        }
        self.thin();
    }

    /// Takes a decision.
    pub fn note(&mut self, notice: &Notice) {
        if self.notices.len() >= NOTICES_MAX {
            // The beginning tells what was released and the end why it ended; the middle can go.
            self.notices.remove(NOTICES_MAX / 2);
            self.notices_dropped += 1;
        }
        self.at(notice.at);
        self.notices.push(notice.clone());
    }

    /// Adds a line to the page's facts about this release, such as what only the shell has measured.
    pub fn fact(&mut self, name: &str, value: impl Into<String>) {
        self.facts.push((name.to_owned(), value.into()));
    }

    /// Seconds since the recording began.
    pub(crate) fn seconds(&self, at: Timestamp) -> f64 {
        self.started.map_or(0.0, |started| at.duration_since(started).as_secs_f64().max(0.0))
    }

    /// How long it took, in seconds.
    pub(crate) fn duration_s(&self) -> f64 {
        self.ended.map_or(0.0, |ended| self.seconds(ended))
    }

    /// The first decision of a kind.
    pub(crate) fn first(&self, kind: NoticeKind) -> Option<&Notice> {
        self.notices.iter().find(|notice| notice.kind == kind)
    }

    /// The evidence of the decision that ended it; the newest while there is none.
    pub(crate) fn evidence(&self) -> Option<&Verdict> {
        let ends = [NoticeKind::RolledBack, NoticeKind::Promoting, NoticeKind::Promoted];
        let mut decisions = self.notices.iter().rev().filter(|notice| ends.contains(&notice.kind));
        decisions.find_map(|notice| notice.verdict.as_ref()).or(self.verdict.as_ref())
    }

    /// All counts of both tracks.
    pub(crate) fn totals(&self) -> Tracks {
        let mut totals = Tracks::default();
        for point in &self.points {
            totals.add(&point.tracks);
        }
        totals
    }

    fn at(&mut self, now: Timestamp) -> f64 {
        let started = *self.started.get_or_insert(now);
        self.ended = Some(self.ended.map_or(now, |ended| ended.max(now)));
        now.duration_since(started).as_secs_f64().max(0.0)
    }

    fn weigh(&mut self, at_s: f64, weight: Weight) {
        if self.weights.last().is_none_or(|last| last.weight != weight) {
            self.weights.push(WeightChange { at_s, weight });
        }
    }

    /// What has been added since the last traffic. A count that fell (its reporter was forgotten) adds nothing.
    fn new_counts(&mut self, traffic: &Traffic) -> Tracks {
        let mut new = Tracks::default();
        for generation in &traffic.generations {
            if self.edges_ms.is_empty() {
                self.edges_ms.clone_from(&generation.edges_ms);
            }
            for cell in &generation.cells {
                let added = self.added(generation, cell);
                self.failures.add(&added);
                new.of_mut(added.track).add_cell(&added);
            }
        }
        if let Some(oldest) = traffic.generations.iter().map(|kept| kept.generation).min() {
            self.cells.retain(|(generation, ..), _| *generation >= oldest);
        }
        new
    }

    fn added(&mut self, generation: &GenerationTraffic, cell: &Cell) -> Cell {
        let key = (generation.generation, cell.track, cell.assignment, cell.route.clone());
        let before = self.cells.insert(key, cell.clone());
        let mut added = before.map_or_else(|| cell.clone(), |before| difference(cell, &before));
        if generation.edges_ms != self.edges_ms {
            added.latency = Latency::default();
        }
        added
    }

    fn point(&mut self, at_s: f64) -> &mut Point {
        let index = Point::index(at_s, self.span_s);
        match self.points.iter().rposition(|point| point.index <= index) {
            Some(at) if self.points[at].index == index => &mut self.points[at],
            found => {
                let at = found.map_or(0, |at| at + 1);
                self.points.insert(at, Point::new(index));
                &mut self.points[at]
            }
        }
    }

    fn thin(&mut self) {
        if self.points.len() > POINTS_MAX {
            self.span_s = self.span_s.saturating_mul(2);
            self.points = Point::merge(&self.points, 2);
        }
        if self.weights.len() > WEIGHTS_MAX {
            let mut odd = false;
            self.weights.retain(|_| {
                odd = !odd;
                odd
            });
        }
    }
}

/// The new version's share: its weight as a canary, and all of it once it is primary.
pub(crate) fn share(phase: Phase, weight: Weight) -> Weight {
    match phase {
        Phase::Finalising | Phase::Succeeded => Weight::FULL,
        _ => weight,
    }
}

/// What `now` has beyond `before`, count by count.
fn difference(now: &Cell, before: &Cell) -> Cell {
    let upstreams = now.upstreams.iter().map(|upstream| {
        let known = before.upstreams.iter().find(|known| known.address == upstream.address);
        let failures = upstream.failures.saturating_sub(known.map_or(0, |known| known.failures));
        serin_route::Upstream { address: upstream.address.clone(), failures }
    });
    Cell {
        track: now.track,
        assignment: now.assignment,
        route: now.route.clone(),
        requests: now.requests.saturating_sub(before.requests),
        failures: now.failures.saturating_sub(before.failures),
        resets: now.resets.saturating_sub(before.resets),
        retries: now.retries.saturating_sub(before.retries),
        abandoned: now.abandoned.saturating_sub(before.abandoned),
        upgraded: now.upgraded.saturating_sub(before.upgraded),
        latency: Latency {
            done: subtract(&now.latency.done, &before.latency.done),
            censored: subtract(&now.latency.censored, &before.latency.censored),
        },
        upstreams: upstreams.collect(),
    }
}

fn subtract(now: &[u64], before: &[u64]) -> Vec<u64> {
    let before = before.iter().copied().chain(std::iter::repeat(0));
    now.iter().zip(before).map(|(now, before)| now.saturating_sub(before)).collect()
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
