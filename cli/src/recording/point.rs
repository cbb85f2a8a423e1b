//! One span of time: what each track did in it and what was known at its end.

use serin_route::{Cell, Track};

/// One span of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Point {
    /// It lasts from `index` to `index + 1` spans after the start.
    pub(crate) index: u32,
    pub(crate) tracks: Tracks,
    /// ln E at its end.
    pub(crate) ln_e: Option<f64>,
    pub(crate) ln_e_capped: Option<f64>,
}

/// Counts of both tracks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tracks {
    pub(crate) primary: Tally,
    pub(crate) canary: Tally,
}

/// Counts of one track.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    pub(crate) failures: u64,
    /// Requests by the number of latency edges that they outlived.
    done: Vec<u64>,
    /// The same of those that have not ended.
    censored: Vec<u64>,
}

impl Point {
    /// An empty point.
    pub(crate) fn new(index: u32) -> Self {
        Self { index, ..Self::default() }
    }

    /// The index of the span that holds a time.
    pub(crate) fn index(at_s: f64, span_s: u32) -> u32 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let second = at_s as u32;
        second / span_s.max(1)
    }

    /// The same points with each `factor` spans made one.
    pub(crate) fn merge(points: &[Self], factor: u32) -> Vec<Self> {
        let mut merged: Vec<Self> = Vec::new();
        for point in points {
            let index = point.index / factor.max(1);
            if merged.last().is_none_or(|last| last.index != index) {
                merged.push(Self::new(index));
            }
            if let Some(last) = merged.last_mut() {
                last.tracks.add(&point.tracks);
                last.ln_e = point.ln_e.or(last.ln_e);
                last.ln_e_capped = point.ln_e_capped.or(last.ln_e_capped);
            }
        }
        merged
    }
}

impl Tracks {
    pub(crate) fn of(&self, track: Track) -> &Tally {
        match track {
            Track::Primary => &self.primary,
            Track::Canary => &self.canary,
        }
    }

    pub(crate) fn of_mut(&mut self, track: Track) -> &mut Tally {
        match track {
            Track::Primary => &mut self.primary,
            Track::Canary => &mut self.canary,
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.primary.add(&other.primary);
        self.canary.add(&other.canary);
    }
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failures += other.failures;
        add_each(&mut self.done, &other.done);
        add_each(&mut self.censored, &other.censored);
    }

    pub(crate) fn add_cell(&mut self, cell: &Cell) {
        self.requests += cell.requests;
        self.failures += cell.failures;
        add_each(&mut self.done, &cell.latency.done);
        add_each(&mut self.censored, &cell.latency.censored);
    }

    /// The latency in milliseconds below which a share `q` of the requests ended, interpolated between the edges;
    /// the last edge where it lies beyond. While nothing ends, requests that hang show how long they have hung.
    pub(crate) fn quantile(&self, edges_ms: &[u32], q: f64) -> Option<f64> {
        let counts =
            if self.done.iter().any(|count| *count > 0) { &self.done } else { &self.censored };
        let total: u64 = counts.iter().sum();
        if total == 0 || edges_ms.is_empty() {
            return None;
        }
        let wanted = q * total as f64;
        let mut below = 0.0;
        for (index, count) in counts.iter().map(|count| *count as f64).enumerate() {
            if count > 0.0 && below + count >= wanted {
                return Some(between(edges_ms, index, (wanted - below) / count));
            }
            below += count;
        }
        None
    }
}

/// A point between two edges, on a logarithmic scale: edges grow by a factor, and so do latencies.
fn between(edges_ms: &[u32], index: usize, share: f64) -> f64 {
    let edge = |index: usize| edges_ms.get(index).map(|ms| f64::from(*ms));
    let Some(high) = edge(index) else { return edges_ms.last().map_or(0.0, |ms| f64::from(*ms)) };
    let low = index.checked_sub(1).and_then(edge).unwrap_or(high / std::f64::consts::SQRT_2);
    low * (high / low).powf(share.clamp(0.0, 1.0))
}

fn add_each(sums: &mut Vec<u64>, counts: &[u64]) {
    if sums.len() < counts.len() {
        sums.resize(counts.len(), 0);
    }
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum += count;
    }
}
