//! Objectives: is the canary surely within them, or surely beyond?
//!
//! Here nothing is compared, so traffic that was sent by a rule or addressed to the canary counts too. A breach that
//! primary shares is the environment's.

use serde::{Deserialize, Serialize};
use serin_route::Assignment;
use serin_stats::{Capped, Counts, PassTest, RateTest, Restarting, cap, mean_ln};

use super::strata::{Strata, Tally};
use crate::{Evidence, Objective, Plan};

/// Evidence against primary from which on a breach is not the canary's alone.
const SHARED: f64 = 20.0;

/// One objective's tests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Goal {
    /// Its latency edge; none for the error rate.
    edge: Option<usize>,
    /// The share of bad requests that is allowed.
    limit: f64,
    canary: Restarting<RateTest>,
    primary: Restarting<RateTest>,
    capped: Capped,
    /// Of requests without a key: each is a unit.
    pass: PassTest,
    /// Requests of users with a key: no evidence for the canary, however many, but they may speak against it.
    keyed: Counts,
}

/// The objectives of a plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Goals {
    goals: Vec<Goal>,
}

/// Whether an objective is breached beyond doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breach {
    None,
    /// By the canary alone.
    Canary,
    /// By both tracks.
    Environment,
}

impl Goals {
    /// No evidence yet. A latency objective needs its threshold among the plan's edges.
    pub(crate) fn new(plan: &Plan, block_s: u64) -> Self {
        let edges = &plan.routing.edges_ms;
        let goal = |objective: &Objective| {
            let (edge, limit) = match objective {
                Objective::ErrorRate(limit) => (None, *limit),
                Objective::Latency { threshold_ms, over } => {
                    (Some(edges.iter().position(|edge| edge == threshold_ms)?), *over)
                }
            };
            Some(Goal {
                edge,
                canary: Restarting::new(RateTest::new(limit)),
                primary: Restarting::new(RateTest::new(limit)),
                capped: Capped::new(cap(plan.evidence.alpha_rollback, 1.0), block_s),
                pass: PassTest::new(limit),
                keyed: Counts::default(),
                limit,
            })
        };
        Self { goals: plan.evidence.objectives.iter().filter_map(goal).collect() }
    }

    /// Takes one generation's new counts. A key's requests are not independent: a few users would soon have asked often
    /// enough to vouch for a version that fails others. Against the canary its users count once each; for it they
    /// count for nothing.
    pub(crate) fn add(&mut self, fresh: &Strata, now_s: u64, warm: bool) {
        for goal in self.goals.iter_mut().filter(|goal| warm || goal.edge.is_none()) {
            for stratum in &fresh.parts {
                let (canary, primary) =
                    (goal.counts(&stratum.canary), goal.counts(&stratum.primary));
                if stratum.assignment == Assignment::Sticky {
                    goal.keyed = goal.keyed.plus(canary);
                } else {
                    goal.pass.add(canary);
                    goal.canary.at(now_s).add(canary);
                    goal.primary.at(now_s).add(primary);
                }
            }
            if goal.edge.is_none() {
                goal.canary.at(now_s).add(fresh.users.canary);
                goal.primary.at(now_s).add(fresh.users.primary);
            }
        }
    }

    /// Brings every objective to `now_s`.
    pub(crate) fn settle(&mut self, now_s: u64) {
        for goal in &mut self.goals {
            goal.capped.update(now_s, goal.canary.ln_e());
        }
    }

    /// Whether an objective is breached: on average over all of them, in at least two blocks.
    pub(crate) fn breach(&self, evidence: &Evidence) -> Breach {
        let capped = mean_ln(self.goals.iter().map(|goal| goal.capped.ln_e()));
        let leading =
            |one: &&Goal, other: &&Goal| one.capped.ln_e().total_cmp(&other.capped.ln_e());
        match self.goals.iter().max_by(leading) {
            Some(goal) if capped >= -evidence.alpha_rollback.ln() && goal.capped.blocks() >= 2 => {
                let shared = goal.primary.ln_e() >= SHARED.ln();
                if shared { Breach::Environment } else { Breach::Canary }
            }
            _ => Breach::None,
        }
    }

    /// Objectives that are not yet shown to be met, in words; none if all are.
    pub(crate) fn unproven(&self, plan: &Plan) -> Vec<String> {
        let threshold = -plan.evidence.alpha_pass.ln();
        let words = self.goals.iter().filter_map(|goal| match goal.pass.good_units_to(threshold) {
            Some(0) if goal.is_kept_for_users() => None,
            Some(0) => Some(format!("{} for users with a key too", goal.words(plan))),
            Some(more) => {
                let unit =
                    if goal.keyed.exposed > 0 { "requests without a key" } else { "requests" };
                Some(format!("{} (about {more} more good {unit})", goal.words(plan)))
            }
            None => Some(goal.words(plan)),
        });
        words.collect()
    }
}

impl Goal {
    fn counts(&self, tally: &Tally) -> Counts {
        match self.edge {
            None => tally.errors(),
            Some(edge) => tally.edges.get(edge).copied().unwrap_or_default(),
        }
    }

    /// What users with a key have met so far keeps the objective.
    fn is_kept_for_users(&self) -> bool {
        self.keyed.rate().is_none_or(|rate| rate <= self.limit)
    }

    fn words(&self, plan: &Plan) -> String {
        match self.edge.and_then(|edge| plan.routing.edges_ms.get(edge)) {
            Some(edge_ms) => format!("evidence that latency keeps below {edge_ms}ms"),
            None => "evidence that the error rate keeps its objective".to_owned(),
        }
    }
}
