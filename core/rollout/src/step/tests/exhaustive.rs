//! Every sequence of a few events, five deep.

use serin_route::Weight;

use super::invariants::{Taken, check, comes_to_rest, decides_once};
use crate::fixture::{Drill, at, plan};
use crate::{
    Intent, Objective, Phase, Plan, Readiness, Routing, Schedule, ScheduleStep, Seen, Status,
};

#[derive(Clone, Copy, Debug)]
enum Event {
    /// An interval passes, with good requests.
    Good,
    /// An interval passes in which the canary fails.
    Bad,
    Intend(Intent),
    /// The target changes.
    Revision,
    /// The last canary pod goes, or comes back.
    Pods,
    /// Writing fails, or works again.
    Apply,
    /// Primary breaks, or recovers.
    Primary,
    /// The controller dies.
    Forget,
}

const EVENTS: [Event; 10] = [
    Event::Good,
    Event::Bad,
    Event::Intend(Intent::Abort),
    Event::Intend(Intent::Promote),
    Event::Intend(Intent::Resume),
    Event::Revision,
    Event::Pods,
    Event::Apply,
    Event::Primary,
    Event::Forget,
];
const DEPTH: usize = 5;

fn small_plan() -> Plan {
    let mut small = plan();
    let ten = ScheduleStep::SetWeight(Weight::from_percent(10));
    let fifty = ScheduleStep::SetWeight(Weight::from_percent(50));
    small.schedule = Schedule::Steps(vec![ten, ScheduleStep::Pause(None), fifty]);
    small.routing = Routing { edges_ms: vec![100], ..Routing::default() };
    small.evidence.objectives = vec![Objective::ErrorRate(0.05)];
    small
}

/// What a sequence has made of a release.
#[derive(Clone)]
struct State {
    status: Status,
    ledger: crate::Ledger,
    seen: Seen,
    ms: i64,
    requests: (u64, u64),
}

impl State {
    fn happen(&mut self, plan: &Plan, event: Event) {
        self.ms += 100;
        let flip = |readiness: &Readiness, to: Readiness| match readiness {
            Readiness::Ready => to,
            _ => Readiness::Ready,
        };
        let workloads = &mut self.seen.workloads;
        match event {
            Event::Good => self.traffic(0),
            Event::Bad => self.traffic(30),
            Event::Intend(intent) => self.seen.intent = Some(intent),
            Event::Revision => self.seen.revision.push('+'),
            Event::Pods => {
                workloads.canary = flip(&workloads.canary, Readiness::Waiting);
                workloads.canary_pods = u32::from(workloads.canary == Readiness::Ready);
            }
            Event::Apply => self.seen.projection.applied ^= true,
            Event::Primary => {
                let broken = Readiness::Failed("broken".into());
                workloads.primary = flip(&workloads.primary, broken);
            }
            Event::Forget => self.ledger = crate::Ledger::default(),
        }
        self.step(plan);
        self.seen.intent = None;
        self.step(plan);
    }

    fn step(&mut self, plan: &Plan) {
        let now = at(self.ms);
        let ledger = std::mem::take(&mut self.ledger);
        let step = crate::step(plan, &self.status, ledger, &self.seen, now);
        check(&Taken { plan, before: &self.status, seen: &self.seen, step: &step });
        comes_to_rest(plan, &step, &self.seen, now);
        decides_once(plan, &step, &self.seen, now);
        self.status = step.status;
        self.ledger = step.ledger;
        let primary_revision = crate::desired(plan, &self.status).primary_revision;
        self.seen.workloads.primary_revision = primary_revision.unwrap_or_default();
        self.seen.dice = self.seen.dice.map(|byte| byte.wrapping_add(1));
    }

    fn traffic(&mut self, failing: u64) {
        self.ms += 10_000;
        let Some(run) = &self.status.run else { return };
        let weight = u64::from(run.weight.basis_points());
        let canary = 1000 * weight / 10_000;
        let failed = (canary * failing / 100, 1);
        let generation = run.generation;
        let mut more = crate::fixture::traffic(generation, (canary, failed.0), (1000 - canary, 1));
        more.generations[0].edges_ms = vec![100];
        let known = &mut self.seen.traffic.generations;
        match known.iter_mut().find(|it| it.generation == generation) {
            None => known.extend(more.generations),
            Some(counts) => {
                for (cell, more) in counts.cells.iter_mut().zip(&more.generations[0].cells) {
                    cell.requests += more.requests;
                    cell.failures += more.failures;
                    cell.latency.done = vec![cell.requests];
                }
            }
        }
        self.requests.0 += canary;
    }
}

#[test]
fn all_sequences_keep_the_invariants() {
    let plan = small_plan();
    let drill = Drill::new(plan.clone());
    let start = State {
        status: drill.status,
        ledger: drill.ledger,
        seen: drill.seen,
        ms: 0,
        requests: (0, 0),
    };
    let mut ends = std::collections::BTreeMap::<Phase, u64>::new();
    let mut open = vec![(start, 0)];
    while let Some((state, depth)) = open.pop() {
        if depth == DEPTH {
            *ends.entry(state.status.phase).or_default() += 1;
            continue;
        }
        for event in EVENTS {
            let mut next = state.clone();
            next.happen(&plan, event);
            open.push((next, depth + 1));
        }
    }
    println!("{ends:?}");
    for phase in [Phase::Progressing, Phase::Promoting, Phase::Succeeded, Phase::Failed] {
        assert!(ends.contains_key(&phase), "no sequence ends in {phase:?}");
    }
}
