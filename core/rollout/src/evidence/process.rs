//! The processes against the canary, and their weighted sum.
//!
//! Each compares the tracks in one respect, over randomised traffic alone. `E_fail = Σ w_i·E_i` is the evidence that
//! any of them shows harm; averaging loses less than correcting for the number of looks would.

use serde::{Deserialize, Serialize};
use serin_route::Assignment;
use serin_stats::{Capped, Comparison, Counts, cap, mean_ln, weighted_ln};

use super::strata::{Strata, Stratum, Users};
use crate::Plan;

/// Weight of each respect; they sum to one. What a plan has no use for (routes, if none is named) stays at E = 1.
const ERRORS: f64 = 0.35;
const LATENCY: f64 = 0.20;
const ROUTE_ERRORS: f64 = 0.20;
const ROUTE_LATENCY: f64 = 0.10;
const OTHER: f64 = 0.15;

/// Attempts beyond the first of one request, at most, where nobody set another number (Envoy under Istio). Divided by
/// it, one request's retries weigh no more than one bad request.
const RETRIES_EACH: u64 = 2;

/// In which respect tracks are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Metric {
    Errors,
    Latency,
    Resets,
    Retries,
}

/// One process: a comparison, or one for each latency edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) metric: Metric,
    /// The route that it is about; none for the whole service.
    pub(crate) route: Option<String>,
    pub(crate) weight: f64,
    tests: Vec<Comparison>,
    capped: Capped,
    /// ln E after the last settling.
    pub(crate) ln_e: f64,
    touched: bool,
}

/// All processes of a plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Processes {
    all: Vec<Process>,
}

impl Processes {
    /// No evidence yet. Blocks of bounded influence last `block_s` seconds.
    pub(crate) fn new(plan: &Plan, block_s: u64) -> Self {
        let edges = plan.routing.edges_ms.len();
        let process = |metric, route, weight| Process::new(metric, route, weight, plan, block_s);
        let mut all = vec![process(Metric::Errors, None, ERRORS)];
        if edges > 0 {
            all.push(process(Metric::Latency, None, LATENCY));
        }
        if plan.routing.retries {
            all.push(process(Metric::Resets, None, OTHER * 2.0 / 3.0));
            all.push(process(Metric::Retries, None, OTHER / 3.0));
        } else {
            all.push(process(Metric::Resets, None, OTHER));
        }
        let routes = plan.routing.routes.len() as f64;
        for route in &plan.routing.routes {
            let name = || Some(route.name.clone());
            all.push(process(Metric::Errors, name(), ROUTE_ERRORS / routes));
            if edges > 0 {
                all.push(process(Metric::Latency, name(), ROUTE_LATENCY / routes));
            }
        }
        Self { all }
    }

    /// Takes one generation's new counts, `now_s` seconds after the canary's first request. Strata that were not drawn
    /// at random are left out, and so is latency while the canary warms up.
    pub(crate) fn add(&mut self, fresh: &Strata, now_s: u64, warm: bool) {
        for stratum in fresh.parts.iter().filter(|it| it.assignment == Assignment::Weight) {
            let routes =
                |process: &&mut Process| process.route.is_none() || process.route == stratum.route;
            for process in self.all.iter_mut().filter(routes) {
                if warm || process.metric != Metric::Latency {
                    process.add(stratum, now_s);
                }
            }
        }
        if let Some(errors) = self.all.first_mut() {
            errors.add_counts(0, now_s, fresh.users.canary, fresh.users.primary);
        }
    }

    /// Brings every process to `now_s`, whether it has new counts or not.
    pub(crate) fn settle(&mut self, now_s: u64) {
        for process in &mut self.all {
            process.settle(now_s);
        }
    }

    /// ln `E_fail`.
    pub(crate) fn ln_e(&self) -> f64 {
        weighted_ln(self.all.iter().map(|it| (it.weight, it.ln_e)))
    }

    /// The same with bounded influence per block.
    pub(crate) fn ln_e_capped(&self) -> f64 {
        weighted_ln(self.all.iter().map(|it| (it.weight, it.capped.ln_e())))
    }

    /// The process that carries most of the evidence.
    pub(crate) fn leading(&self) -> Option<&Process> {
        let share = |process: &Process| process.weight.ln() + process.ln_e;
        self.all.iter().max_by(|one, other| share(one).total_cmp(&share(other)))
    }
}

impl Process {
    fn new(metric: Metric, route: Option<String>, weight: f64, plan: &Plan, block_s: u64) -> Self {
        let evidence = &plan.evidence;
        let (tests, floor) = match metric {
            Metric::Latency => (plan.routing.edges_ms.len(), evidence.latency_floor),
            Metric::Errors | Metric::Resets | Metric::Retries => (1, evidence.error_floor),
        };
        Self {
            metric,
            route,
            weight,
            tests: vec![Comparison::new(evidence.guard, floor); tests],
            capped: Capped::new(cap(evidence.alpha_rollback, weight), block_s),
            ln_e: 0.0,
            touched: false,
        }
    }

    fn add(&mut self, stratum: &Stratum, now_s: u64) {
        let (canary, primary) = (&stratum.canary, &stratum.primary);
        if self.metric == Metric::Latency {
            for (index, (canary, primary)) in
                canary.edges.iter().zip(&primary_edges(stratum)).enumerate()
            {
                self.add_counts(index, now_s, *canary, *primary);
            }
            return;
        }
        let canary = self.metric.counts(canary);
        self.add_counts(0, now_s, canary, self.metric.counts(primary));
    }

    fn add_counts(&mut self, index: usize, now_s: u64, canary: Counts, primary: Counts) {
        if let Some(test) = self.tests.get_mut(index)
            && canary.exposed > 0
        {
            test.add(now_s, canary, primary);
            self.touched = true;
        }
    }

    fn settle(&mut self, now_s: u64) {
        if self.touched {
            self.ln_e = mean_ln(self.tests.iter().map(Comparison::ln_e));
            self.touched = false;
        }
        self.capped.update(now_s, self.ln_e);
    }

    /// Blocks that raised the evidence.
    pub(crate) fn blocks(&self) -> u32 {
        self.capped.blocks()
    }

    /// The index of the latency edge that leads.
    pub(crate) fn leading_edge(&self) -> Option<usize> {
        if self.metric != Metric::Latency {
            return None;
        }
        let by_edge = self.tests.iter().map(Comparison::ln_e).enumerate();
        by_edge.max_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(edge, _)| edge)
    }
}

/// Primary's edges, as many as the canary has: a track without traffic has none.
fn primary_edges(stratum: &Stratum) -> Vec<Counts> {
    let mut edges = stratum.primary.edges.clone();
    edges.resize(stratum.canary.edges.len(), Counts::default());
    edges
}

impl Metric {
    /// Exposed and bad ones in this respect; none for latency, which has an edge for each.
    fn counts(self, tally: &super::strata::Tally) -> Counts {
        let bad = match self {
            Self::Errors => tally.failures,
            Self::Resets => tally.resets,
            Self::Retries => tally.retries.checked_div(RETRIES_EACH).unwrap_or(0),
            Self::Latency => return Counts::default(),
        };
        Counts::new(tally.requests, bad)
    }

    /// As people read it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Latency => "latency",
            Self::Resets => "resets",
            Self::Retries => "retries",
        }
    }

    /// As machines read it.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Errors => "ErrorRate",
            Self::Latency => "Latency",
            Self::Resets => "Resets",
            Self::Retries => "Retries",
        }
    }
}

/// The counts behind a process, by generation: within one the weight is constant for all routes, so they may be
/// pooled. Users are units of their own.
pub(crate) fn pairs(
    generations: &[Strata],
    metric: Metric,
    route: Option<&str>,
    edge: Option<usize>,
) -> Vec<(Counts, Counts)> {
    let mut pairs = Vec::new();
    for strata in generations {
        let (mut canary, mut primary) = (Counts::default(), Counts::default());
        let drawn = strata.parts.iter().filter(|it| it.assignment == Assignment::Weight);
        for stratum in drawn.filter(|it| route.is_none() || it.route.as_deref() == route) {
            let counts = |tally: &super::strata::Tally| match edge {
                Some(edge) => tally.edges.get(edge).copied().unwrap_or_default(),
                None => metric.counts(tally),
            };
            canary = canary.plus(counts(&stratum.canary));
            primary = primary.plus(counts(&stratum.primary));
        }
        pairs.push((canary, primary));
        let Users { canary, primary } = strata.users;
        if metric == Metric::Errors && route.is_none() && canary.exposed > 0 {
            pairs.push((canary, primary));
        }
    }
    pairs
}
