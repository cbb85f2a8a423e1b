//! What is new in the traffic: cumulative counts against those that were judged before.
//!
//! A stratum is one generation (constant weight), one route and one kind of assignment, with both tracks side by side.
//! Its counts only grow. If any of them falls behind, reports were lost with a controller's memory: the stratum then
//! gives no evidence until all of them have caught up, so nothing is judged twice.

use serde::{Deserialize, Serialize};
use serin_route::{Assignment, Cell, Latency, Track};
use serin_stats::Counts;

use crate::{GenerationTraffic, Traffic};

/// Generations whose consumed counts are kept; the traffic holds no more either.
const GENERATIONS_MAX: usize = 64;

/// Counts of one track.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    pub(crate) failures: u64,
    pub(crate) resets: u64,
    pub(crate) retries: u64,
    /// By latency edge: requests that completed under it or outlived it, and those that outlived it.
    pub(crate) edges: Vec<Counts>,
}

/// One stratum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stratum {
    pub(crate) route: Option<String>,
    pub(crate) assignment: Assignment,
    pub(crate) canary: Tally,
    pub(crate) primary: Tally,
}

/// Keyed users of both tracks: at risk, and failing for the first time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Users {
    pub(crate) canary: Counts,
    pub(crate) primary: Counts,
}

/// The strata of one generation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Strata {
    pub(crate) generation: u64,
    pub(crate) parts: Vec<Stratum>,
    pub(crate) users: Users,
}

/// What was judged already.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Consumed {
    generations: Vec<Strata>,
}

impl Consumed {
    /// What is new, by generation; from now on it is old.
    pub(crate) fn take(&mut self, traffic: &Traffic, edges_ms: &[u32]) -> Vec<Strata> {
        let fresh: Vec<Strata> = traffic
            .generations
            .iter()
            .filter_map(|counted| self.take_generation(Strata::of(counted, edges_ms), counted))
            .collect();
        let surplus = self.generations.len().saturating_sub(GENERATIONS_MAX);
        self.generations.drain(..surplus);
        fresh
    }

    /// All that was consumed, by generation.
    pub(crate) fn generations(&self) -> &[Strata] {
        &self.generations
    }

    fn take_generation(&mut self, now: Strata, counted: &GenerationTraffic) -> Option<Strata> {
        let position =
            match self.generations.binary_search_by_key(&now.generation, |it| it.generation) {
                Ok(known) => known,
                Err(place) => {
                    let generation = now.generation;
                    self.generations.insert(place, Strata { generation, ..Strata::default() });
                    place
                }
            };
        let known = self.generations.get_mut(position)?;
        let mut fresh = Strata { generation: now.generation, ..Strata::default() };
        for stratum in now.parts {
            fresh.parts.extend(known.take(stratum));
        }
        if counted.keyed.iter().all(|keyed| !keyed.overflow) {
            fresh.users = known.take_users(now.users).unwrap_or_default();
        }
        let nothing = fresh.parts.is_empty() && fresh.users == Users::default();
        (!nothing).then_some(fresh)
    }
}

impl Strata {
    fn of(counted: &GenerationTraffic, edges_ms: &[u32]) -> Self {
        let edges = if counted.edges_ms == edges_ms { edges_ms.len() } else { 0 };
        let mut strata = Self { generation: counted.generation, ..Self::default() };
        for cell in &counted.cells {
            strata.set(cell, Tally::of(cell, edges));
        }
        for keyed in &counted.keyed {
            let users = match keyed.track {
                Track::Canary => &mut strata.users.canary,
                Track::Primary => &mut strata.users.primary,
            };
            *users = Counts::new(keyed.at_risk, keyed.failed);
        }
        strata
    }

    fn set(&mut self, cell: &Cell, tally: Tally) {
        let route = cell.route.as_deref();
        if self.position(route, cell.assignment).is_none() {
            self.parts.push(Stratum::new(cell.route.clone(), cell.assignment));
        }
        let position = self.position(route, cell.assignment);
        if let Some(stratum) = position.and_then(|position| self.parts.get_mut(position)) {
            *stratum.track(cell.track) = tally;
        }
    }

    fn position(&self, route: Option<&str>, assignment: Assignment) -> Option<usize> {
        self.parts.iter().position(|it| it.assignment == assignment && it.route.as_deref() == route)
    }

    /// Puts a stratum's newest counts in the place of those known; returns what is new in them.
    fn take(&mut self, now: Stratum) -> Option<Stratum> {
        let Some(position) = self.position(now.route.as_deref(), now.assignment) else {
            self.parts.push(now.clone());
            return Some(now);
        };
        let known = self.parts.get_mut(position)?;
        let canary = now.canary.since(&known.canary)?;
        let primary = now.primary.since(&known.primary)?;
        let empty = canary.is_empty() && primary.is_empty();
        *known = now;
        let Stratum { route, assignment, .. } = known.clone();
        (!empty).then_some(Stratum { route, assignment, canary, primary })
    }

    fn take_users(&mut self, now: Users) -> Option<Users> {
        let canary = difference(now.canary, self.users.canary)?;
        let primary = difference(now.primary, self.users.primary)?;
        self.users = now;
        Some(Users { canary, primary })
    }
}

impl Stratum {
    fn new(route: Option<String>, assignment: Assignment) -> Self {
        Self { route, assignment, canary: Tally::default(), primary: Tally::default() }
    }

    fn track(&mut self, track: Track) -> &mut Tally {
        match track {
            Track::Canary => &mut self.canary,
            Track::Primary => &mut self.primary,
        }
    }
}

impl Tally {
    fn of(cell: &Cell, edges: usize) -> Self {
        Self {
            requests: cell.requests,
            failures: cell.failures,
            resets: cell.resets,
            retries: cell.retries,
            edges: counts_by_edge(&cell.latency, edges),
        }
    }

    /// Requests and failures.
    pub(crate) fn errors(&self) -> Counts {
        Counts::new(self.requests, self.failures)
    }

    /// What came since; none if anything fell behind.
    fn since(&self, former: &Self) -> Option<Self> {
        let edges = if former.edges.is_empty() {
            self.edges.clone()
        } else {
            let pairs = self.edges.iter().zip(&former.edges);
            pairs.map(|(now, then)| difference(*now, *then)).collect::<Option<_>>()?
        };
        Some(Self {
            requests: self.requests.checked_sub(former.requests)?,
            failures: self.failures.checked_sub(former.failures)?,
            resets: self.resets.checked_sub(former.resets)?,
            retries: self.retries.checked_sub(former.retries)?,
            edges,
        })
    }

    fn is_empty(&self) -> bool {
        self.requests == 0
            && self.failures == 0
            && self.retries == 0
            && self.edges.iter().all(|edge| edge.exposed == 0)
    }

    /// Adds another tally's counts.
    pub(crate) fn add(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.failures = self.failures.saturating_add(other.failures);
        self.resets = self.resets.saturating_add(other.resets);
        self.retries = self.retries.saturating_add(other.retries);
        if self.edges.len() < other.edges.len() {
            self.edges.resize(other.edges.len(), Counts::default());
        }
        for (edge, more) in self.edges.iter_mut().zip(&other.edges) {
            *edge = edge.plus(*more);
        }
    }
}

/// [`Latency::at_edge`] of every edge in one pass.
fn counts_by_edge(latency: &Latency, edges: usize) -> Vec<Counts> {
    let count = |counts: &[u64], index: usize| counts.get(index).copied().unwrap_or(0);
    let sum = |counts: &[u64]| counts.iter().fold(0_u64, |sum, count| sum.saturating_add(*count));
    let mut outlived = sum(&latency.done).saturating_add(sum(&latency.censored));
    let mut under = 0_u64;
    let mut by_edge = Vec::with_capacity(edges);
    for edge in 0..edges {
        under = under.saturating_add(count(&latency.done, edge));
        let not_beyond = count(&latency.done, edge).saturating_add(count(&latency.censored, edge));
        outlived = outlived.saturating_sub(not_beyond);
        by_edge.push(Counts::new(under.saturating_add(outlived), outlived));
    }
    by_edge
}

fn difference(now: Counts, then: Counts) -> Option<Counts> {
    let exposed = now.exposed.checked_sub(then.exposed)?;
    Some(Counts::new(exposed, now.bad.checked_sub(then.bad)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{plan, traffic};
    use proptest::prelude::*;

    fn edges() -> Vec<u32> {
        plan().routing.edges_ms
    }

    #[test]
    fn only_what_is_new_is_taken() {
        let mut consumed = Consumed::default();
        let first = consumed.take(&traffic(1, (10, 1), (90, 0)), &edges());
        assert_eq!(first[0].parts[0].canary.errors(), Counts::new(10, 1));
        assert!(consumed.take(&traffic(1, (10, 1), (90, 0)), &edges()).is_empty());
        let more = consumed.take(&traffic(1, (13, 1), (120, 2)), &edges());
        assert_eq!(more[0].parts[0].canary.errors(), Counts::new(3, 0));
        assert_eq!(more[0].parts[0].primary.errors(), Counts::new(30, 2));
        let other = consumed.take(&traffic(2, (1, 0), (9, 0)), &edges());
        assert_eq!(other[0].generation, 2);
    }

    #[test]
    fn counts_that_fall_behind_are_no_evidence_until_they_catch_up() {
        let mut consumed = Consumed::default();
        consumed.take(&traffic(1, (10, 4), (90, 0)), &edges());
        assert!(consumed.take(&traffic(1, (20, 2), (200, 0)), &edges()).is_empty());
        assert!(consumed.take(&traffic(1, (30, 9), (80, 0)), &edges()).is_empty());
        let caught_up = consumed.take(&traffic(1, (11, 4), (91, 0)), &edges());
        assert_eq!(caught_up[0].parts[0].canary.errors(), Counts::new(1, 0));
    }

    #[test]
    fn latency_of_other_edges_is_ignored() {
        let mut consumed = Consumed::default();
        let fresh = consumed.take(&traffic(1, (10, 1), (90, 0)), &[10]);
        assert!(fresh[0].parts[0].canary.edges.is_empty());
    }

    #[test]
    fn users_after_an_overflow_are_no_evidence() {
        let mut counted = traffic(1, (10, 0), (90, 0));
        let keyed = |at_risk, failed, overflow| crate::KeyedTraffic {
            track: Track::Canary,
            at_risk,
            failed,
            overflow,
        };
        let mut consumed = Consumed::default();
        counted.generations[0].keyed = vec![keyed(5, 1, false)];
        let fresh = consumed.take(&counted, &edges());
        assert_eq!(fresh[0].users.canary, Counts::new(5, 1));
        counted.generations[0].keyed = vec![keyed(50, 10, true)];
        assert!(consumed.take(&counted, &edges()).is_empty());
    }

    proptest! {
        #[test]
        fn the_pass_over_edges_is_at_edge_of_each(
            done in prop::collection::vec(0_u64..9, 0..6),
            censored in prop::collection::vec(0_u64..9, 0..6),
        ) {
            let latency = Latency { done, censored };
            for (edge, counts) in counts_by_edge(&latency, 5).into_iter().enumerate() {
                prop_assert_eq!((counts.exposed, counts.bad), latency.at_edge(edge));
            }
        }
    }
}
