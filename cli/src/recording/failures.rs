//! Who failed: counts by route and by upstream address, over the whole release.

use std::collections::BTreeMap;

use serin_route::{Cell, Track};

/// Counts by route and by upstream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failures {
    routes: BTreeMap<(Option<String>, Track), RouteRow>,
    upstreams: BTreeMap<(Track, String), u64>,
}

/// One track's counts on one route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RouteRow {
    pub(crate) requests: u64,
    pub(crate) failures: u64,
    /// Of the failures, those without an answer.
    pub(crate) resets: u64,
}

/// A fleet may have more addresses; the first that fail are enough to see a pattern.
const UPSTREAMS_MAX: usize = 64;

impl Failures {
    /// Adds what is new in a cell.
    pub(crate) fn add(&mut self, cell: &Cell) {
        let row = self.routes.entry((cell.route.clone(), cell.track)).or_default();
        row.requests += cell.requests;
        row.failures += cell.failures;
        row.resets += cell.resets;
        for upstream in cell.upstreams.iter().filter(|upstream| upstream.failures > 0) {
            let key = (cell.track, upstream.address.clone());
            if self.upstreams.len() < UPSTREAMS_MAX || self.upstreams.contains_key(&key) {
                *self.upstreams.entry(key).or_default() += upstream.failures;
            }
        }
    }

    /// Routes by name, the unnamed rest last; with both tracks' counts.
    pub(crate) fn routes(&self) -> Vec<(Option<&str>, RouteRow, RouteRow)> {
        let mut names: Vec<Option<&str>> = Vec::new();
        for (name, _) in self.routes.keys() {
            if names.last() != Some(&name.as_deref()) {
                names.push(name.as_deref());
            }
        }
        names.sort_by_key(|name| (name.is_none(), *name));
        let row = |name: Option<&str>, track: Track| {
            self.routes.get(&(name.map(str::to_owned), track)).copied().unwrap_or_default()
        };
        names
            .into_iter()
            .map(|name| (name, row(name, Track::Canary), row(name, Track::Primary)))
            .collect()
    }

    /// Failing addresses, the worst first.
    pub(crate) fn upstreams(&self) -> Vec<(&str, Track, u64)> {
        let mut rows: Vec<(&str, Track, u64)> = self
            .upstreams
            .iter()
            .map(|((track, address), failures)| (address.as_str(), *track, *failures))
            .collect();
        rows.sort_by_key(|(_, _, failures)| std::cmp::Reverse(*failures));
        rows
    }
}
