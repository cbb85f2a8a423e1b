//! One generation's counts, summed over VMs.
//!
//! A VM's former counts are taken out before its newest go in, so a report costs what it holds, however many VMs
//! there are.

use serin_route::{Cell, GenerationReport, Keyed, Latency, Track, Upstream};

use crate::{GenerationTraffic, KeyedTraffic};

/// Cells of one generation: two tracks, four assignments, sixteen named routes and all others.
const CELLS_MAX: usize = 2 * 4 * 17;
/// Addresses of failures kept for one cell.
pub(super) const UPSTREAMS_MAX: usize = 64;

/// The sum.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sum {
    /// All but keyed users.
    traffic: GenerationTraffic,
    primary: Users,
    canary: Users,
}

/// Keyed users of one track.
#[derive(Clone, Debug, Default, PartialEq)]
struct Users {
    at_risk: u64,
    failed: u64,
    overflow: bool,
}

/// Whether counts go in or out.
#[derive(Clone, Copy)]
enum Way {
    In,
    Out,
}

impl Sum {
    /// An empty sum for the first report's generation and edges.
    pub(super) fn new(report: &GenerationReport) -> Self {
        let traffic = GenerationTraffic {
            generation: report.generation,
            edges_ms: report.edges_ms.clone(),
            ..GenerationTraffic::default()
        };
        Self { traffic, ..Self::default() }
    }

    pub(super) fn traffic(&self) -> GenerationTraffic {
        let keyed = [(Track::Primary, &self.primary), (Track::Canary, &self.canary)]
            .into_iter()
            .filter(|(_, users)| **users != Users::default())
            .map(|(track, users)| KeyedTraffic {
                track,
                at_risk: users.at_risk,
                failed: users.failed,
                overflow: users.overflow,
            });
        GenerationTraffic { keyed: keyed.collect(), ..self.traffic.clone() }
    }

    /// The report within our bounds, without what cannot be summed. Failing users are counted elsewhere.
    pub(super) fn acceptable(&self, report: &GenerationReport) -> GenerationReport {
        let same_edges = report.edges_ms == self.traffic.edges_ms;
        let buckets = report.edges_ms.len().saturating_add(1);
        let cells = report.cells.iter().take(CELLS_MAX).map(|cell| {
            let mut cell = cell.clone();
            if same_edges {
                cell.latency.done.truncate(buckets);
                cell.latency.censored.truncate(buckets);
            } else {
                cell.latency = Latency::default();
            }
            cell.upstreams.truncate(UPSTREAMS_MAX);
            cell
        });
        let keyed =
            report.keyed.iter().take(2).map(|keyed| Keyed { failed: Vec::new(), ..keyed.clone() });
        GenerationReport {
            generation: report.generation,
            edges_ms: Vec::new(),
            mismatched: report.mismatched,
            cells: cells.collect(),
            keyed: keyed.collect(),
        }
    }

    /// Puts a VM's counts in.
    pub(super) fn add(&mut self, report: &GenerationReport) {
        self.shift(report, Way::In);
    }

    /// Takes a VM's former counts out.
    pub(super) fn subtract(&mut self, report: &GenerationReport) {
        self.shift(report, Way::Out);
    }

    /// Counts a user that failed for the first time in the run.
    pub(super) fn first_failure(&mut self, track: Track) {
        let keyed = self.keyed(track);
        keyed.failed = keyed.failed.saturating_add(1);
    }

    /// Marks a track's keyed users as no evidence.
    pub(super) fn overflow(&mut self, track: Track) {
        self.keyed(track).overflow = true;
    }

    fn shift(&mut self, report: &GenerationReport, way: Way) {
        shift(&mut self.traffic.mismatched, report.mismatched, way);
        for cell in &report.cells {
            if let Some(sum) = self.cell(cell) {
                shift_cell(sum, cell, way);
            }
        }
        for keyed in &report.keyed {
            let sum = self.keyed(keyed.track);
            shift(&mut sum.at_risk, keyed.at_risk, way);
            sum.overflow |= keyed.overflow;
        }
    }

    fn cell(&mut self, like: &Cell) -> Option<&mut Cell> {
        let cells = &mut self.traffic.cells;
        let known = cells.iter().position(|cell| {
            cell.track == like.track
                && cell.assignment == like.assignment
                && cell.route == like.route
        });
        if known.is_none() && cells.len() < CELLS_MAX {
            cells
                .push(Cell { route: like.route.clone(), ..Cell::new(like.track, like.assignment) });
            return cells.last_mut();
        }
        cells.get_mut(known?)
    }

    fn keyed(&mut self, track: Track) -> &mut Users {
        match track {
            Track::Primary => &mut self.primary,
            Track::Canary => &mut self.canary,
        }
    }
}

fn shift(sum: &mut u64, part: u64, way: Way) {
    *sum = match way {
        Way::In => sum.saturating_add(part),
        Way::Out => sum.saturating_sub(part),
    };
}

fn shift_cell(sum: &mut Cell, part: &Cell, way: Way) {
    shift(&mut sum.requests, part.requests, way);
    shift(&mut sum.failures, part.failures, way);
    shift(&mut sum.resets, part.resets, way);
    shift(&mut sum.retries, part.retries, way);
    shift(&mut sum.abandoned, part.abandoned, way);
    shift(&mut sum.upgraded, part.upgraded, way);
    shift_all(&mut sum.latency.done, &part.latency.done, way);
    shift_all(&mut sum.latency.censored, &part.latency.censored, way);
    for upstream in &part.upstreams {
        shift_upstream(&mut sum.upstreams, upstream, way);
    }
}

fn shift_all(sums: &mut Vec<u64>, parts: &[u64], way: Way) {
    if sums.len() < parts.len() {
        sums.resize(parts.len(), 0);
    }
    for (sum, part) in sums.iter_mut().zip(parts) {
        shift(sum, *part, way);
    }
}

fn shift_upstream(sums: &mut Vec<Upstream>, part: &Upstream, way: Way) {
    if let Some(sum) = sums.iter_mut().find(|sum| sum.address == part.address) {
        shift(&mut sum.failures, part.failures, way);
    } else if sums.len() < UPSTREAMS_MAX {
        sums.push(part.clone());
    }
}
