//! What the tests of this crate begin with.

use std::time::Duration;

use jiff::Timestamp;
use serin_route::{Assignment, Cell, Latency, Track, Weight};

use crate::{Evidence, GenerationTraffic, Plan, Routing, Schedule, ScheduleStep, Traffic};

/// A plan of two weights, ten seconds each, without checks.
pub(crate) fn plan() -> Plan {
    let weight = |percent| ScheduleStep::SetWeight(Weight::from_percent(percent));
    Plan {
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
        track,
        assignment: Assignment::Weight,
        route: None,
        requests,
        failures,
        resets: 0,
        retries: 0,
        abandoned: 0,
        upgraded: 0,
        latency: Latency { done: vec![requests], censored: vec![] },
        upstreams: vec![],
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
