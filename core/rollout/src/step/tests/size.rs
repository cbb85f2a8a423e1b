//! The largest traffic there can be.

use serin_route::{Assignment, Cell, Latency, RoutePattern, Track};

use crate::fixture::{Drill, cell, plan};
use crate::{GenerationTraffic, Plan, Traffic};

const GENERATIONS: u64 = 64;
const EDGES: u32 = 35;

/// Sixteen named routes and all others, on both tracks.
fn generation(generation: u64, requests: u64) -> GenerationTraffic {
    let of = |track, route: u32| Cell {
        assignment: Assignment::Weight,
        route: (route > 0).then(|| format!("route-{route}")),
        latency: Latency { done: vec![requests / 50; 36], censored: vec![1; 36] },
        ..cell(track, requests, requests / 100)
    };
    let both = |route| [of(Track::Canary, route), of(Track::Primary, route)];
    GenerationTraffic {
        generation,
        edges_ms: (1..=EDGES).collect(),
        mismatched: 0,
        cells: (0..17).flat_map(both).collect(),
        keyed: vec![],
    }
}

fn large_plan() -> Plan {
    let mut large = plan();
    large.routing.edges_ms = (1..=EDGES).collect();
    large.routing.routes = (1..17)
        .map(|route| RoutePattern { name: format!("route-{route}"), when: vec![] })
        .collect();
    large
}

/// What is kept does not grow with time, and what did not change is not judged again.
#[test]
fn the_ledger_is_bounded() {
    let mut drill = Drill::new(large_plan());
    drill.pass(1);
    let mut sizes = Vec::new();
    for newest in (GENERATIONS..GENERATIONS + 30).step_by(10) {
        let generations = (newest - GENERATIONS..newest).map(|it| generation(it, 1000)).collect();
        drill.seen.traffic = Traffic { generations, heard: 1 };
        drill.status.run.as_mut().unwrap().generation = newest - 1;
        drill.after(0);
        sizes.push(serde_json::to_string(&drill.ledger).unwrap().len());
    }
    let least = sizes.iter().min().unwrap();
    assert!(*least > 500_000, "the largest traffic is large: {sizes:?}");
    assert!(sizes.iter().all(|size| *size < least + least / 10), "{sizes:?}");
    let verdict = drill.last.as_ref().unwrap().verdict.clone();
    drill.after(0);
    let again = drill.last.as_ref().unwrap().verdict.clone();
    assert_eq!(again, verdict, "the same counts are no new evidence");
}
