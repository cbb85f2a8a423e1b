//! A report is no larger than a receiver takes, however much there is to tell; what does not fit takes its turn.

use super::*;

const RUNS: usize = 3;
const GENERATIONS: u64 = 20;
const ROUTES: usize = 16;
const EDGES: u32 = 64;

/// Every cell of every generation of every run at its fullest.
fn outage() -> Tally {
    let route = |n| crate::RoutePattern { name: format!("route-{n}"), when: Vec::new() };
    let of = |n: usize, generation| Rollout {
        edges_ms: (1..=EDGES).map(|edge| edge * 10).collect(),
        routes: (0..ROUTES).map(route).collect(),
        ..rollout(&format!("shop-{n}"), "r1", generation)
    };
    let mut tally = Tally::default();
    for generation in 1..=GENERATIONS {
        tally.load(&(0..RUNS).map(|n| of(n, generation)).collect::<Vec<_>>());
        for rollout in 0..RUNS {
            for route in (0..ROUTES).map(Some).chain([None]) {
                for assignment in [Assignment::Weight, Assignment::Sticky] {
                    let opening =
                        Opening { rollout, assignment, route, ..weighted(Track::Canary, 0) };
                    fail_at_every_edge(&mut tally, opening);
                }
            }
        }
    }
    tally
}

fn fail_at_every_edge(tally: &mut Tally, opening: Opening) {
    for edge in 0..=u64::from(EDGES) {
        for outcome in [Outcome::Failed, Outcome::Abandoned] {
            let key = Some(KeyHash(edge));
            let ticket = tally.open(Opening { key, ..opening }).unwrap();
            let address = format!("10.0.0.{}:8080", edge % 16);
            let closing = ended(Track::Canary, outcome, (edge * 10 + 5) * MS);
            tally.close(ticket, &Closing { upstream: Some(address.as_bytes()), ..closing });
        }
    }
}

#[test]
fn an_outages_backlog_arrives_in_parts() {
    let mut tally = outage();
    let mut heard = std::collections::BTreeSet::new();
    let mut sequence = 0;
    while !tally.is_settled() {
        sequence += 1;
        let report = tally.report(sequence);
        let bytes = serde_json::to_vec(&report).unwrap().len();
        assert!(bytes < 2 << 20, "{bytes} bytes");
        let before = heard.len();
        for rollout in &report {
            let generations = rollout.generations.iter();
            heard.extend(generations.map(|it| (rollout.name.clone(), it.generation)));
        }
        assert!(heard.len() > before, "each brings something new");
        tally.acknowledge(sequence);
    }
    assert!(sequence > 1, "it does not fit into one");
    assert_eq!(heard.len(), RUNS * usize::try_from(GENERATIONS).unwrap());
}

#[test]
fn sizes_are_about_right_and_never_far_too_small() {
    let mut tally = outage();
    let report = tally.report(1);
    let sizes = generations(&mut tally.runs).filter(|it| it.sent == Some(1)).map(|it| it.size());
    let told = report.iter().flat_map(|it| &it.generations);
    let mut compared = 0;
    for (size, told) in sizes.zip(told) {
        let bytes = serde_json::to_vec(told).unwrap().len();
        assert!(bytes < 3 * size && size < 3 * bytes, "{bytes} bytes, taken for {size}");
        compared += 1;
    }
    assert!(compared > 1);
}
