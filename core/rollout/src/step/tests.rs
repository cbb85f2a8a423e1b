//! Steps one by one: a release with a shell that does as it is told.

mod evidence;
mod exhaustive;
mod hooks;
mod invariants;
mod properties;
mod schedule;
mod size;
mod workloads;

use std::collections::BTreeMap;
use std::time::Duration;

use serin_route::Weight;

use crate::fixture::{Drill, plan};
use crate::{
    Acknowledged, AdvanceGate, Check, CheckSource, Hook, HookKind, Intent, Mode, NoticeKind,
    Objective, OnInconclusive, Phase, Plan, Probe, Readiness, RoundResult, Schedule, ScheduleStep,
    Stage, Status, Value,
};

fn hook(kind: HookKind) -> Hook {
    Hook {
        name: "gatekeeper".into(),
        kind,
        url: "http://gate".into(),
        timeout: Duration::from_secs(10),
        retries: 0,
        insecure: false,
        metadata: BTreeMap::new(),
    }
}

fn hooked(kind: HookKind) -> Plan {
    Plan { hooks: vec![hook(kind)], ..plan() }
}

fn query() -> Check {
    Check {
        name: "latency of checkout".into(),
        source: CheckSource::Query { address: "http://prom".into(), query: "q".into() },
        interval: Duration::from_mins(1),
        min: None,
        max: Some(5.0),
    }
}

fn percents(drill: &mut Drill, seconds: i64) -> Vec<(i64, u16)> {
    let mut seen = Vec::new();
    for _ in 0..seconds * 2 {
        drill.after(500);
        if seen.last().is_none_or(|(_, percent)| *percent != drill.percent()) {
            seen.push((drill.ms / 1000, drill.percent()));
        }
    }
    seen
}
