//! What the tests of this crate begin with.

use std::time::Duration;

use jiff::Timestamp;
pub(crate) use serin_route::Cell;
use serin_route::{Assignment, Latency, Track, Weight};

use crate::{
    Acknowledged, Answer, Evidence, GenerationTraffic, Intent, Ledger, Notice, NoticeKind, Phase,
    Plan, Probe, Projection, Readiness, Routing, Run, Schedule, ScheduleStep, Seen, Status, Step,
    Traffic, Value, Workloads,
};

/// A plan of two weights, ten seconds each, without checks.
pub(crate) fn plan() -> Plan {
    let weight = |percent| ScheduleStep::SetWeight(Weight::from_percent(percent));
    Plan {
        canary: "app".into(),
        target: "web".into(),
        name: "app".into(),
        namespace: "shop".into(),
        schedule: Schedule::Steps(vec![weight(10), weight(50)]),
        interval: Duration::from_secs(10),
        threshold: 2,
        checks: Vec::new(),
        hooks: Vec::new(),
        evidence: Evidence { latency_warmup: Duration::ZERO, ..Evidence::default() },
        routing: Routing { edges_ms: vec![10, 50, 100, 500], ..Routing::default() },
        skip_analysis: false,
    }
}

/// Milliseconds after some moment.
pub(crate) fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(1_700_000_000_000 + ms).unwrap()
}

/// Requests that all took less than the first edge.
pub(crate) fn cell(track: Track, requests: u64, failures: u64) -> Cell {
    Cell {
        requests,
        failures,
        latency: Latency { done: vec![requests], censored: vec![] },
        ..Cell::new(track, Assignment::Weight)
    }
}

/// One generation's traffic: requests and failures of the canary and of primary.
pub(crate) fn traffic(generation: u64, canary: (u64, u64), primary: (u64, u64)) -> Traffic {
    let cells =
        vec![cell(Track::Canary, canary.0, canary.1), cell(Track::Primary, primary.0, primary.1)];
    let edges_ms = plan().routing.edges_ms;
    let one = GenerationTraffic { generation, edges_ms, cells, ..GenerationTraffic::default() };
    Traffic { generations: vec![one], heard: 1 }
}

/// A release with its shell: commits every step, applies and acknowledges at once, answers as told.
pub(crate) struct Drill {
    pub(crate) plan: Plan,
    pub(crate) status: Status,
    pub(crate) ledger: Ledger,
    pub(crate) seen: Seen,
    pub(crate) ms: i64,
    pub(crate) told: Vec<Notice>,
    pub(crate) last: Option<Step>,
    /// Requests so far by track: failures of each hundred.
    pub(crate) failing: (u64, u64),
    pub(crate) answer: fn(&Probe) -> Option<Result<Value, String>>,
    /// VMs that report.
    pub(crate) heard: usize,
    /// What else is to be said of a cell.
    pub(crate) shape: fn(&mut Cell),
    /// Requests per second, in hundreds.
    pub(crate) rate: u64,
}

impl Drill {
    /// Version v1 is promoted, both tracks are ready, and the target is v2.
    pub(crate) fn new(plan: Plan) -> Self {
        let status = Status {
            phase: Phase::Initialized,
            promoted_revision: Some("v1".into()),
            tried_revision: Some("v1".into()),
            ..Status::default()
        };
        let workloads = Workloads {
            primary: Readiness::Ready,
            primary_revision: "v1".into(),
            canary: Readiness::Ready,
            canary_pods: 2,
        };
        let seen = Seen {
            dice: [7; 32],
            revision: "v2".into(),
            workloads,
            projection: Projection { applied: true, acknowledged: Acknowledged::Yes },
            ..Seen::default()
        };
        Self {
            plan,
            status,
            ledger: Ledger::default(),
            seen,
            ms: 0,
            told: Vec::new(),
            last: None,
            failing: (0, 0),
            answer: |_| None,
            heard: 1,
            shape: |_| {},
            rate: 1,
        }
    }

    /// One step, `ms` after the last, with its rate of requests split by weight.
    pub(crate) fn after(&mut self, ms: i64) -> &Step {
        self.ms += ms;
        self.traffic(u64::try_from(ms).unwrap() / 10 * self.rate);
        let wanted = self.last.iter().flat_map(|step| step.wants.clone());
        self.seen.answers = wanted
            .filter_map(|probe| {
                let result = (self.answer)(&probe)?;
                Some(Answer { probe, result })
            })
            .collect();
        let ledger = std::mem::take(&mut self.ledger);
        let step = crate::step(&self.plan, &self.status, ledger, &self.seen, at(self.ms));
        self.status = step.status.clone();
        self.ledger = step.ledger.clone();
        self.told.extend(step.notices.clone());
        self.seen.intent = None;
        self.seen.dice = self.seen.dice.map(|byte| byte.wrapping_add(1));
        let desired = crate::desired(&self.plan, &self.status).primary_revision;
        self.seen.workloads.primary_revision = desired.unwrap_or_default();
        self.last.insert(step)
    }

    /// Steps of half a second for a while.
    pub(crate) fn pass(&mut self, seconds: i64) {
        for _ in 0..seconds * 2 {
            self.after(500);
        }
    }

    pub(crate) fn intend(&mut self, intent: Intent) {
        self.seen.intent = Some(intent);
        self.after(100);
    }

    pub(crate) fn run(&self) -> &Run {
        self.status.run.as_ref().unwrap()
    }

    /// The canary's weight in whole percent.
    pub(crate) fn percent(&self) -> u16 {
        self.run().weight.basis_points() / 100
    }

    /// Steps until something holds, for at most five minutes.
    pub(crate) fn until(&mut self, holds: impl Fn(&Self) -> bool) {
        let end = self.ms + 300_000;
        while !holds(self) {
            assert!(self.ms < end, "it did not happen: {:?}", self.status);
            self.after(500);
        }
    }

    pub(crate) fn told(&self, kind: NoticeKind) -> Vec<&str> {
        let of_kind = self.told.iter().filter(|notice| notice.kind == kind);
        of_kind.map(|notice| notice.message.as_str()).collect()
    }

    fn traffic(&mut self, requests: u64) {
        let Some(run) = self.status.run.as_ref().filter(|run| !run.is_over()) else { return };
        let canary = requests * u64::from(run.weight.basis_points()) / 10_000;
        let generation = run.generation;
        let known = &mut self.seen.traffic.generations;
        if known.last().is_none_or(|last| last.generation != generation) {
            known.extend(traffic(generation, (0, 0), (0, 0)).generations);
        }
        let counts = known.last_mut().unwrap();
        for (cell, (requests, failing)) in counts
            .cells
            .iter_mut()
            .zip([(canary, self.failing.0), (requests - canary, self.failing.1)])
        {
            cell.requests += requests;
            cell.failures = cell.failures.max(cell.requests * failing / 100);
            cell.latency.done = vec![cell.requests];
            (self.shape)(cell);
        }
        self.seen.traffic.heard = self.heard;
    }
}
