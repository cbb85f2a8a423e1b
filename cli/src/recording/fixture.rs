//! What tests of recordings and of the page begin with.

use jiff::{SignedDuration, Timestamp};
use serin_rollout::{Evidence, Phase, Plan, Routing, Run, Schedule, Status};
use serin_route::Weight;

/// A moment so many seconds after the beginning.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("in range") + SignedDuration::from_secs(seconds)
}

pub(crate) fn plan(edges_ms: &[u32]) -> Plan {
    Plan {
        canary: "shop".into(),
        target: "shop".into(),
        name: "shop".into(),
        namespace: "demo".into(),
        schedule: Schedule::Steps(Vec::new()),
        interval: std::time::Duration::from_secs(15),
        threshold: 5,
        checks: Vec::new(),
        hooks: Vec::new(),
        evidence: Evidence::default(),
        routing: Routing { edges_ms: edges_ms.to_vec(), ..Routing::default() },
        skip_analysis: false,
    }
}

pub(crate) fn status(weight: Weight, phase: Phase) -> Status {
    let run = Run { revision: "v2 <b>".into(), started: at(0), weight, ..Run::default() };
    Status { phase, run: Some(run), ..Status::default() }
}
