//! Random sequences of observations, far from what any shell would see.

use proptest::prelude::*;

use super::invariants::{Taken, check, comes_to_rest, decides_once};
use super::{hook, query};
use crate::fixture::{Drill, at, cell, plan};
use crate::{
    Acknowledged, AdvanceGate, Answer, GenerationTraffic, HookKind, Intent, KeyedTraffic, Ledger,
    Objective, OnInconclusive, Plan, QuarantineWeight, Readiness, Schedule, Status, Traffic, Value,
};
use serin_route::{Assignment, Latency, RoutePattern, Track};

/// What changes before a step.
#[derive(Clone, Debug)]
enum Change {
    Pass(i64),
    Traffic { canary: (u64, u64), primary: (u64, u64), slow: u64, keyed: (u64, u64) },
    Garbage(u64, u64),
    Intend(Intent),
    Revision(u8),
    Canary(Readiness, u32),
    Primary(Readiness),
    Projection(bool, Acknowledged),
    Answers(Result<Value, String>),
    Forget,
}

fn intents() -> impl Strategy<Value = Intent> {
    use Intent::{Abort, Pause, Promote, Resume, Retry};
    prop::sample::select(vec![Pause, Resume, Abort, Promote, Retry])
}

fn readiness() -> impl Strategy<Value = Readiness> {
    prop_oneof![
        4 => Just(Readiness::Ready),
        2 => Just(Readiness::Waiting),
        1 => Just(Readiness::Failed("broken".into())),
    ]
}

fn results() -> impl Strategy<Value = Result<Value, String>> {
    prop_oneof![
        4 => Just(Ok(Value::Approved)),
        2 => any::<f64>().prop_map(|number| Ok(Value::Number(number))),
        1 => Just(Ok(Value::NoData)),
        2 => Just(Err("no".to_owned())),
    ]
}

fn changes() -> impl Strategy<Value = Change> {
    let counts = || (0_u64..2000).prop_flat_map(|n| (Just(n), 0..=n));
    prop_oneof![
        6 => (1_i64..20_000).prop_map(Change::Pass),
        8 => (counts(), counts(), 0_u64..50, counts()).prop_map(|(canary, primary, slow, keyed)| {
            Change::Traffic { canary, primary, slow, keyed }
        }),
        1 => any::<(u64, u64)>().prop_map(|(one, other)| Change::Garbage(one, other)),
        1 => intents().prop_map(Change::Intend),
        1 => (1_u8..5).prop_map(Change::Revision),
        1 => (readiness(), 0_u32..3).prop_map(|(to, pods)| Change::Canary(to, pods)),
        1 => readiness().prop_map(Change::Primary),
        2 => (any::<bool>(), prop::sample::select(vec![
            Acknowledged::No, Acknowledged::Yes, Acknowledged::Yes, Acknowledged::Overdue,
        ])).prop_map(|(applied, acknowledged)| Change::Projection(applied, acknowledged)),
        4 => results().prop_map(Change::Answers),
        1 => Just(Change::Forget),
    ]
}

fn plans() -> impl Strategy<Value = Plan> {
    let schedules = prop_oneof![
        3 => Just(plan().schedule),
        1 => Just(Schedule::Ab { iterations: 2 }),
        1 => Just(Schedule::BlueGreen { iterations: 2 }),
        1 => Just(Schedule::Steps(vec![])),
    ];
    let policies = prop::sample::select(vec![
        (OnInconclusive::Hold, QuarantineWeight::Floor),
        (OnInconclusive::Promote, QuarantineWeight::Keep),
        (OnInconclusive::Rollback, QuarantineWeight::Zero),
    ]);
    (schedules, policies, any::<[bool; 6]>(), 0_u64..60).prop_map(
        |(schedule, (on_inconclusive, quarantine), on, dwell)| {
            let mut random = Plan { schedule, ..plan() };
            random.skip_analysis = on.iter().all(|on| *on);
            if on[0] {
                random.checks = vec![query()];
            }
            if on[1] {
                use HookKind as Kind;
                let kinds = [Kind::ConfirmRollout, Kind::PreRollout, Kind::Rollback];
                random.hooks = kinds.into_iter().map(hook).collect();
            }
            if on[2] {
                use HookKind as Kind;
                let kinds = [Kind::ConfirmTrafficIncrease, Kind::ConfirmPromotion, Kind::Rollout];
                random.hooks.extend(kinds.into_iter().map(hook));
            }
            if on[3] {
                random.evidence.gate = AdvanceGate::Pass;
                let slow = Objective::Latency { threshold_ms: 100, over: 0.01 };
                random.evidence.objectives = vec![Objective::ErrorRate(0.01), slow];
            }
            if on[4] {
                random.routing.routes = vec![RoutePattern { name: "cart".into(), when: vec![] }];
                random.routing.retries = true;
            }
            random.evidence.dwell_max = std::time::Duration::from_secs(dwell);
            random.evidence.on_inconclusive = on_inconclusive;
            random.evidence.quarantine = quarantine;
            random
        },
    )
}

/// The release of a drill, changed at random.
struct Random(Drill);

impl Random {
    fn change(&mut self, change: Change) {
        let drill = &mut self.0;
        let seen = &mut drill.seen;
        match change {
            Change::Pass(ms) => drill.ms += ms,
            Change::Traffic { canary, primary, slow, keyed } => {
                self.traffic(canary, primary, slow, keyed);
            }
            Change::Garbage(one, other) => seen.traffic = garbage(one, other),
            Change::Intend(intent) => seen.intent = Some(intent),
            Change::Revision(number) => seen.revision = format!("v{number}"),
            Change::Canary(to, pods) => {
                seen.workloads.canary = to;
                seen.workloads.canary_pods = pods;
            }
            Change::Primary(to) => seen.workloads.primary = to,
            Change::Projection(applied, acknowledged) => {
                seen.projection = crate::Projection { applied, acknowledged };
            }
            Change::Answers(result) => {
                let wanted = drill.last.iter().flat_map(|step| step.wants.clone());
                let answers = wanted.map(|probe| Answer { probe, result: result.clone() });
                seen.answers = answers.collect();
            }
            Change::Forget => drill.ledger = Ledger::default(),
        }
    }

    fn traffic(&mut self, canary: (u64, u64), primary: (u64, u64), slow: u64, keyed: (u64, u64)) {
        let Some(run) = &self.0.status.run else { return };
        let generation = run.generation;
        let known = &mut self.0.seen.traffic;
        known.heard = 1;
        if known.generations.last().is_none_or(|it| it.generation != generation) {
            known.generations.push(GenerationTraffic {
                generation,
                edges_ms: plan().routing.edges_ms,
                mismatched: 0,
                cells: [Track::Canary, Track::Primary]
                    .into_iter()
                    .flat_map(|track| {
                        let of =
                            |assignment| crate::fixture::Cell { assignment, ..cell(track, 0, 0) };
                        [Assignment::Weight, Assignment::Rule, Assignment::Sticky].map(of)
                    })
                    .collect(),
                keyed: vec![],
            });
        }
        let Some(counts) = known.generations.last_mut() else { return };
        for cell in &mut counts.cells {
            let (requests, failures) = if cell.track == Track::Canary { canary } else { primary };
            cell.requests = cell.requests.saturating_add(requests);
            cell.failures = cell.failures.saturating_add(failures);
            cell.resets = cell.resets.saturating_add(failures / 2);
            cell.retries = cell.retries.saturating_add(failures);
            cell.latency = Latency { done: vec![cell.requests], censored: vec![0, 0, slow] };
        }
        counts.keyed = vec![KeyedTraffic {
            track: Track::Canary,
            at_risk: keyed.0,
            failed: keyed.1,
            overflow: slow == 0,
        }];
    }

    fn step(&mut self) {
        let drill = &mut self.0;
        let (plan, now) = (&drill.plan, at(drill.ms));
        let ledger = std::mem::take(&mut drill.ledger);
        let step = crate::step(plan, &drill.status, ledger, &drill.seen, now);
        check(&Taken { plan, before: &drill.status, seen: &drill.seen, step: &step });
        comes_to_rest(plan, &step, &drill.seen, now);
        decides_once(plan, &step, &drill.seen, now);
        drill.status = through_json(&step.status);
        drill.ledger = step.ledger.clone();
        drill.seen.intent = None;
        drill.seen.dice = drill.seen.dice.map(|byte| byte.wrapping_add(1));
        let primary_revision = crate::desired(plan, &drill.status).primary_revision;
        drill.seen.workloads.primary_revision = primary_revision.unwrap_or_default();
        drill.last = Some(step);
    }
}

/// Status as whoever keeps it reads it back.
fn through_json(status: &Status) -> Status {
    let json = serde_json::to_string(status).unwrap();
    let read: Status = serde_json::from_str(&json).unwrap();
    // Evidence may lose its last bit on the way; nothing else may lose anything.
    let bare = |status: &Status| {
        let mut status = status.clone();
        if let Some(run) = &mut status.run {
            run.verdict = None;
            if let Some(quarantine) = &mut run.quarantine {
                quarantine.peak = 0.0;
            }
        }
        status
    };
    assert_eq!(bare(&read), bare(status));
    read
}

/// Counts that no filter would send.
fn garbage(one: u64, other: u64) -> Traffic {
    let mut counts = crate::fixture::traffic(one % 5, (one, other), (other, one));
    for cell in &mut counts.generations[0].cells {
        cell.latency = Latency { done: vec![one; 3], censored: vec![other; 9] };
        cell.resets = one;
        cell.retries = u64::MAX;
    }
    counts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_sequence_breaks_an_invariant(
        plan in plans(),
        changes in prop::collection::vec(changes(), 1..60),
    ) {
        let mut random = Random(Drill::new(plan));
        for change in changes {
            random.change(change);
            random.step();
        }
    }

    /// However the ledger is kept, what was read back is what was written.
    #[test]
    fn a_ledger_survives_its_wire_form(
        changes in prop::collection::vec(changes(), 1..20),
    ) {
        let mut random = Random(Drill::new(plan()));
        for change in changes {
            random.change(change);
            random.step();
            let json = serde_json::to_string(&random.0.ledger).unwrap();
            random.0.ledger = serde_json::from_str(&json).unwrap();
        }
    }
}
