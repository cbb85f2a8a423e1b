//! The counts of one track, assignment and route.

use crate::tally::Closing;
use crate::{Assignment, Cell, Latency, Outcome, Track, Upstream};

/// Upstream addresses kept for each cell.
const UPSTREAMS_MAX: usize = 16;
/// Bytes of an address; no address that Envoy prints is longer, a pipe's path is cut.
const ADDRESS_BYTES_MAX: usize = 128;
/// Attempts believed of one request.
const ATTEMPTS_MAX: u64 = 1_000;
/// Rough sizes on the wire: names and short numbers of a cell, of an upstream, and a count in a list.
const CELL_BYTES: usize = 320;
const UPSTREAM_BYTES: usize = 32;
pub(crate) const COUNT_BYTES: usize = 8;

/// Which counts a request belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CellKey {
    pub(crate) track: Track,
    pub(crate) assignment: Assignment,
    pub(crate) route: Option<u8>,
}

/// All cells of a generation, found by index: fewer machine instructions than any map, and there are few.
#[derive(Debug, Default)]
pub(crate) struct Cells(Vec<Option<(CellKey, Counts)>>);

#[derive(Debug, Default)]
pub(crate) struct Counts {
    requests: u64,
    failures: u64,
    resets: u64,
    retries: u64,
    abandoned: u64,
    upgraded: u64,
    /// By the number of edges outlived, as in [`Latency`].
    done: Vec<u64>,
    gone: Vec<u64>,
    in_flight: Vec<u64>,
    /// What `in_flight` was a flush ago.
    in_flight_before: Vec<u64>,
    upstreams: Vec<Upstream>,
}

impl CellKey {
    fn index(self) -> usize {
        let track = match self.track {
            Track::Primary => 0,
            Track::Canary => 1,
        };
        let assignment = match self.assignment {
            Assignment::Weight => 0,
            Assignment::Sticky => 2,
            Assignment::Rule => 4,
            Assignment::Direct => 6,
        };
        let route = self.route.map_or(0, |route| usize::from(route).saturating_add(1));
        route.saturating_mul(8).saturating_add(assignment | track)
    }
}

impl Cells {
    pub(crate) fn at(&mut self, key: CellKey) -> Option<&mut Counts> {
        let index = key.index();
        if self.0.len() <= index {
            self.0.resize_with(index.saturating_add(1), || None);
        }
        let cell = self.0.get_mut(index)?;
        Some(&mut cell.get_or_insert_with(|| (key, Counts::default())).1)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(CellKey, Counts)> {
        self.0.iter().flatten()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Counts> {
        self.0.iter_mut().flatten().map(|(_, counts)| counts)
    }
}

impl Counts {
    /// A request that is over, having outlived that many edges; flushes have counted it past `told` of them.
    pub(crate) fn close(&mut self, closing: &Closing<'_>, outlived: usize, told: usize) {
        match closing.outcome {
            Outcome::Excluded => {
                self.lose(told);
                return;
            }
            Outcome::Abandoned => {
                self.land(told);
                add(&mut self.abandoned, 1);
                bump(&mut self.gone, if closing.delayed { told } else { outlived.max(told) });
                return;
            }
            Outcome::Upgraded => {
                self.lose(told);
                add(&mut self.requests, 1);
                add(&mut self.upgraded, 1);
            }
            Outcome::Succeeded | Outcome::Failed | Outcome::Reset if closing.delayed => {
                self.lose(told);
                add(&mut self.requests, 1);
            }
            Outcome::Succeeded | Outcome::Failed | Outcome::Reset => {
                self.land(told);
                add(&mut self.requests, 1);
                bump(&mut self.done, outlived.max(told));
            }
        }
        add(&mut self.retries, closing.attempts.min(ATTEMPTS_MAX).saturating_sub(1));
        if closing.outcome.is_failure() {
            add(&mut self.failures, 1);
            add(&mut self.resets, u64::from(closing.outcome == Outcome::Reset));
            if let Some(address) = closing.upstream {
                self.failed_at(address);
            }
        }
    }

    /// A request in flight that has outlived that many edges.
    pub(crate) fn in_flight(&mut self, outlived: usize) {
        bump(&mut self.in_flight, outlived);
    }

    /// A request in flight of which nothing more will be known: it stays past the edges that were told.
    pub(crate) fn lose(&mut self, told: usize) {
        if told > 0 {
            self.land(told);
            bump(&mut self.gone, told);
        }
    }

    /// Forgets the requests in flight, to count them anew.
    pub(crate) fn recount(&mut self) {
        std::mem::swap(&mut self.in_flight, &mut self.in_flight_before);
        self.in_flight.clear();
    }

    /// Whether the requests in flight are as they were before.
    pub(crate) fn is_as_before(&self) -> bool {
        self.in_flight == self.in_flight_before
    }

    /// As reports carry it; none without traffic.
    pub(crate) fn cell(&self, key: CellKey, route: Option<&str>) -> Option<Cell> {
        let censored = sum(&self.gone, &self.in_flight);
        if self.requests == 0 && self.abandoned == 0 && censored.is_empty() {
            return None;
        }
        Some(Cell {
            track: key.track,
            assignment: key.assignment,
            route: route.map(str::to_owned),
            requests: self.requests,
            failures: self.failures,
            resets: self.resets,
            retries: self.retries,
            abandoned: self.abandoned,
            upgraded: self.upgraded,
            latency: Latency { done: self.done.clone(), censored },
            upstreams: self.upstreams.clone(),
        })
    }

    /// About how many bytes its cell takes on the wire.
    pub(crate) fn size(&self) -> usize {
        let counts = self.done.len().saturating_add(self.gone.len().max(self.in_flight.len()));
        let address = |it: &Upstream| it.address.len().saturating_add(UPSTREAM_BYTES);
        let upstreams: usize = self.upstreams.iter().map(address).sum();
        counts.saturating_mul(COUNT_BYTES).saturating_add(upstreams).saturating_add(CELL_BYTES)
    }

    /// A request is no longer in flight.
    fn land(&mut self, told: usize) {
        if let Some(count) = self.in_flight.get_mut(told).filter(|_| told > 0) {
            *count = count.saturating_sub(1);
        }
        while self.in_flight.last() == Some(&0) {
            self.in_flight.pop();
        }
    }

    fn failed_at(&mut self, address: &[u8]) {
        let address = plain(address);
        let known = self.upstreams.iter_mut().find(|it| it.address == address);
        if let Some(known) = known {
            add(&mut known.failures, 1);
        } else if self.upstreams.len() < UPSTREAMS_MAX {
            self.upstreams.push(Upstream { address, failures: 1 });
        }
    }
}

/// An address as a receiver accepts it: short, UTF-8, without control characters.
fn plain(address: &[u8]) -> String {
    let address = address.get(..ADDRESS_BYTES_MAX).unwrap_or(address);
    String::from_utf8_lossy(address).chars().filter(|c| !c.is_control()).collect()
}

/// Counters stop at their maximum rather than wrap.
pub(crate) fn add(counter: &mut u64, more: u64) {
    *counter = counter.saturating_add(more);
}

fn bump(counts: &mut Vec<u64>, index: usize) {
    if counts.len() <= index {
        counts.resize(index.saturating_add(1), 0);
    }
    if let Some(count) = counts.get_mut(index) {
        add(count, 1);
    }
}

fn sum(left: &[u64], right: &[u64]) -> Vec<u64> {
    let at = |counts: &[u64], index| counts.get(index).copied().unwrap_or(0);
    let length = left.len().max(right.len());
    (0..length).map(|index| at(left, index).saturating_add(at(right, index))).collect()
}
