//! What the counts say: from a run's traffic to a verdict.
//!
//! Evidence is gathered whatever happens; what follows from it is decided in [`crate::step()`].

mod objective;
mod process;
mod strata;
mod text;
mod window;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serin_stats::{Counts, Interval, odds_ratio_interval, proportion_interval};

use crate::VerdictState;
use crate::clock::since;
use crate::fingerprint::fingerprint;
use crate::{Action, Answer, Evidence, Leading, Plan, Routing, Run, Sample, Seen, Verdict};
use objective::{Breach, Goals};
use process::{Metric, Processes, pairs};
use strata::Consumed;
use window::Window;

/// Blocks of bounded influence where at least two canary pods share a fault, and where one pod may be it.
const BLOCK_S: u64 = 10;
const BLOCK_ONE_POD_S: u64 = 30;
/// Generations behind an odds ratio: the latest, for it is dear.
const ODDS_GENERATIONS: usize = 16;
/// The breaker's word for machines. It cuts the weight, and convicts nobody.
pub(crate) const CATASTROPHE: &str = "Catastrophe";
/// What is no evidence needs no test: half of twenty requests within five seconds, while primary is well.
const BREAKER_MIN: u64 = 20;
/// The interval that people read.
const ALPHA_SHOWN: f64 = 0.05;

/// Evidence so far, and the answers of the round: bounded, rebuilt from reports and probes if lost. It may be dropped,
/// never invented.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ledger {
    /// The run that it is about.
    run: String,
    /// Fingerprint of the part of the plan that the tests were made for.
    tests: u64,
    /// When the canary's first request was seen by these tests.
    began: Option<Timestamp>,
    consumed: Consumed,
    processes: Processes,
    goals: Goals,
    window: Window,
    odds: Option<Odds>,
    /// Answers of the rounds under way.
    pub(crate) answers: Vec<Answer>,
    /// Fingerprint of what they are answers to.
    pub(crate) asked: u64,
    /// What was told already and should not be repeated.
    pub(crate) told: BTreeSet<String>,
}

/// The last odds ratio, and what it was computed from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Odds {
    leading: Leading,
    bad: (u64, u64),
    interval: Option<Interval>,
}

/// What follows from the evidence alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Nothing.
    Nothing,
    /// Early evidence: cut the weight.
    Suspect(&'static str),
    /// The canary does harm.
    Guilty(&'static str),
    /// An objective is breached on both tracks.
    Environment,
}

/// A decision, as a verdict reports it.
pub(crate) struct Conclusion {
    pub(crate) state: VerdictState,
    pub(crate) action: Action,
    pub(crate) reason: String,
    pub(crate) waits_for: Vec<String>,
}

impl Ledger {
    /// Takes what is new in the run's traffic.
    pub(crate) fn observe(&mut self, plan: &Plan, run: &Run, seen: &Seen, now: Timestamp) {
        let tests = fingerprint(&shape(plan));
        if self.run != run.id {
            let answers = std::mem::take(&mut self.answers);
            *self = Self { run: run.id.clone(), answers, ..Self::default() };
        }
        if self.tests != tests {
            self.begin(plan, seen);
            self.tests = tests;
        }
        let fresh = self.consumed.take(&seen.traffic, &plan.routing.edges_ms);
        let canary = fresh
            .iter()
            .any(|strata| strata.parts.iter().any(|stratum| stratum.canary.requests > 0));
        if canary && self.began.is_none() {
            // Pods are counted now: when the run began there was none.
            self.begin(plan, seen);
            self.began = Some(now);
        }
        self.window.add(&fresh, now);
        let span = plan.checks.iter().map(|check| check.interval).max().unwrap_or_default();
        self.window.sample(span, now);
        let Some(began) = self.began else { return };
        let age = since(began, now);
        let warm = age >= plan.evidence.latency_warmup;
        for strata in &fresh {
            self.processes.add(strata, age.as_secs(), warm);
            self.goals.add(strata, age.as_secs(), warm);
        }
        self.processes.settle(age.as_secs());
        self.goals.settle(age.as_secs());
    }

    /// What follows from the evidence.
    pub(crate) fn finding(&self, plan: &Plan, now: Timestamp) -> Finding {
        let evidence = &plan.evidence;
        let leading = self.processes.leading();
        let reason = leading.map_or("", |process| process.metric.reason());
        let blocks = leading.map_or(0, process::Process::blocks);
        if self.processes.ln_e_capped() >= -evidence.alpha_rollback.ln() && blocks >= 2 {
            return Finding::Guilty(reason);
        }
        let breach = self.goals.breach(evidence);
        if breach == Breach::Canary {
            return Finding::Guilty("Objective");
        }
        if self.processes.ln_e() >= -evidence.alpha_quarantine.ln() {
            return Finding::Suspect(reason);
        }
        if self.is_catastrophe(now) {
            return Finding::Suspect(CATASTROPHE);
        }
        if breach == Breach::Environment { Finding::Environment } else { Finding::Nothing }
    }

    /// ln `E_fail`.
    pub(crate) fn ln_e(&self) -> f64 {
        self.processes.ln_e()
    }

    /// Whether the evidence reaches back to a time: not if it was lost since.
    pub(crate) fn reaches(&self, then: Timestamp) -> bool {
        self.began.is_some_and(|began| began <= then)
    }

    /// Objectives that are not yet shown to be met, in words.
    pub(crate) fn unproven(&self, plan: &Plan) -> Vec<String> {
        self.goals.unproven(plan)
    }

    /// Requests per second of both tracks, lately.
    pub(crate) fn rate(&self, now: Timestamp) -> Option<f64> {
        self.window.lately(now).map(|lately| lately.rate)
    }

    /// Percent of the canary's requests that did not fail.
    pub(crate) fn success_rate(&self, span: Duration, now: Timestamp) -> Option<f64> {
        self.window.success_rate(span, now)
    }

    /// The canary's 99th percentile in milliseconds.
    pub(crate) fn duration_99(&self, plan: &Plan, span: Duration, now: Timestamp) -> Option<f64> {
        self.window.duration_99(&plan.routing.edges_ms, span, now)
    }

    /// The verdict that reports a conclusion with its evidence.
    pub(crate) fn verdict(
        &mut self,
        plan: &Plan,
        seen: &Seen,
        it: Conclusion,
        now: Timestamp,
    ) -> Verdict {
        let Conclusion { state, action, reason, waits_for } = it;
        let leading = self.leading(plan);
        let pairs = match &leading {
            Some(leading) => self.pairs_of(plan, leading),
            None => pairs(self.consumed.generations(), Metric::Errors, None, None),
        };
        let (canary, primary) = total(&pairs);
        let blocks = self.processes.leading().map_or(0, process::Process::blocks);
        let mut verdict = Verdict {
            state,
            action,
            reason,
            ln_e: self.processes.ln_e(),
            ln_e_capped: self.processes.ln_e_capped(),
            canary: sample(canary),
            primary: sample(primary),
            odds_ratio: None,
            blocks,
            waits_for,
            text: String::new(),
            at: now,
            leading: None,
        };
        if let Some(leading) = &leading {
            verdict.odds_ratio = self.odds_ratio(leading, &pairs);
        }
        verdict.leading = leading;
        verdict.text = text::sentence(&verdict, total(&pairs), seen.workloads.canary_pods);
        verdict
    }

    /// New tests, for a new run or an edited plan: what the old ones knew is lost.
    fn begin(&mut self, plan: &Plan, seen: &Seen) {
        let by_pods = if seen.workloads.canary_pods >= 2 { BLOCK_S } else { BLOCK_ONE_POD_S };
        let block_s = plan.evidence.block.map_or(by_pods, |block| block.as_secs());
        self.processes = Processes::new(plan, block_s);
        self.goals = Goals::new(plan, block_s);
        self.began = None;
        self.odds = None;
    }

    /// Half of the canary's requests fail, primary's do not: no test need wait.
    pub(crate) fn is_catastrophe(&self, now: Timestamp) -> bool {
        let Some(lately) = self.window.lately(now) else { return false };
        let rate = |counts: Counts| counts.rate().unwrap_or(0.0);
        lately.canary.exposed >= BREAKER_MIN
            && rate(lately.canary) >= 0.5
            && rate(lately.primary) < 0.05
    }

    fn leading(&self, plan: &Plan) -> Option<Leading> {
        let process = self.processes.leading()?;
        let edge = process.leading_edge().and_then(|edge| plan.routing.edges_ms.get(edge));
        Some(Leading {
            metric: process.metric.as_str().to_owned(),
            route: process.route.clone(),
            edge_ms: edge.copied(),
        })
    }

    /// The counts behind what leads, by generation.
    fn pairs_of(&self, plan: &Plan, leading: &Leading) -> Vec<(Counts, Counts)> {
        let Some(process) = self.processes.leading() else { return Vec::new() };
        let edge_of = |ms| plan.routing.edges_ms.iter().position(|edge| *edge == ms);
        let edge = leading.edge_ms.and_then(edge_of);
        pairs(self.consumed.generations(), process.metric, process.route.as_deref(), edge)
    }

    /// The odds ratio; computed anew only when a bad event was added, since it is dear.
    fn odds_ratio(&mut self, leading: &Leading, pairs: &[(Counts, Counts)]) -> Option<Interval> {
        let (canary, primary) = total(pairs);
        let bad = (canary.bad, primary.bad);
        match &self.odds {
            Some(odds) if odds.leading == *leading && odds.bad == bad => odds.interval,
            _ => {
                let recent = pairs.len().saturating_sub(ODDS_GENERATIONS);
                let strata = pairs.get(recent..).unwrap_or_default();
                let interval = odds_ratio_interval(strata, ALPHA_SHOWN);
                self.odds = Some(Odds { leading: leading.clone(), bad, interval });
                interval
            }
        }
    }
}

/// What shapes the tests: an edit of anything else must not cost the evidence.
fn shape(plan: &Plan) -> impl std::fmt::Debug + '_ {
    let Evidence { guard, error_floor, latency_floor, alpha_rollback, block, objectives, .. } =
        &plan.evidence;
    let Routing { edges_ms, routes, retries, .. } = &plan.routing;
    let limits = (guard, error_floor, latency_floor, alpha_rollback, block);
    (limits, objectives, edges_ms, routes, retries)
}

fn total(pairs: &[(Counts, Counts)]) -> (Counts, Counts) {
    pairs.iter().fold(Default::default(), |(canary, primary): (Counts, Counts), (c, p)| {
        (canary.plus(*c), primary.plus(*p))
    })
}

fn sample(counts: Counts) -> Sample {
    Sample {
        exposed: counts.exposed,
        bad: counts.bad,
        rate: (counts.exposed > 0).then(|| proportion_interval(counts, ALPHA_SHOWN)),
    }
}
