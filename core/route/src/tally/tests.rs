//! The tally as its callers see it, against a receiver that merges reports as the controller does.

mod exposure;
mod histories;
mod returning;
mod size;

use super::*;
use crate::{GenerationReport, Otherwise, Weight};

const MS: u64 = 1_000_000;

fn rollout(name: &str, run: &str, generation: u64) -> Rollout {
    Rollout {
        name: name.into(),
        namespace: "prod".into(),
        run: run.into(),
        generation,
        salt: "0".repeat(32),
        nonce: "n".into(),
        weight: Weight::from_percent(10),
        rules: Vec::new(),
        otherwise: Otherwise::Weighted,
        keys: Vec::new(),
        affinity: None,
        edges_ms: vec![1, 10, 100],
        routes: vec![crate::RoutePattern { name: "cart".into(), when: Vec::new() }],
        direct: None,
        grpc: false,
        retries: false,
    }
}

fn weighted(track: Track, at_ns: u64) -> Opening {
    let assignment = Assignment::Weight;
    Opening { rollout: 0, track, assignment, key: None, route: None, at_ns }
}

fn ended(track: Track, outcome: Outcome, at_ns: u64) -> Closing<'static> {
    Closing { served: Some(track), outcome, delayed: false, attempts: 0, upstream: None, at_ns }
}

fn loaded(rollouts: &[Rollout]) -> Tally {
    let mut tally = Tally::default();
    tally.load(rollouts);
    tally
}

/// The only generation of the only rollout that a report shows.
fn only(tally: &mut Tally, sequence: u64) -> GenerationReport {
    let rollouts = tally.report(sequence);
    assert_eq!(rollouts.len(), 1);
    assert_eq!(rollouts[0].generations.len(), 1);
    rollouts[0].generations[0].clone()
}

#[test]
fn a_quiet_table_is_acknowledged_by_its_generation_alone() {
    let mut tally = loaded(&[rollout("shop", "r1", 7)]);
    let report = tally.report(1);
    assert_eq!((report[0].generation, report[0].generations.len()), (7, 0));
    assert!(tally.is_settled());
}

#[test]
fn counts_are_repeated_until_acknowledged() {
    let mut tally = loaded(&[rollout("shop", "r1", 1)]);
    for (outcome, ms) in [
        (Outcome::Succeeded, 1),
        (Outcome::Succeeded, 2),
        (Outcome::Failed, 50),
        (Outcome::Reset, 5_000),
        (Outcome::Abandoned, 20),
        (Outcome::Upgraded, 20),
    ] {
        let ticket = tally.open(weighted(Track::Canary, 0)).unwrap();
        let closing = Closing { attempts: 3, ..ended(Track::Canary, outcome, ms * MS) };
        tally.close(ticket, &Closing { upstream: Some(b"10.0.0.1:80"), ..closing });
    }
    let cell = only(&mut tally, 1).cells[0].clone();
    assert_eq!((cell.requests, cell.failures, cell.resets), (5, 2, 1));
    assert_eq!((cell.retries, cell.abandoned, cell.upgraded), (10, 1, 1));
    assert_eq!(cell.latency.done, [1, 1, 1, 1]);
    assert_eq!(cell.latency.censored, [0, 0, 1]);
    assert_eq!(cell.upstreams.len(), 1);
    assert_eq!(cell.upstreams[0].failures, 2);

    assert_eq!(only(&mut tally, 2).cells[0], cell);
    tally.acknowledge(1);
    assert_eq!(only(&mut tally, 3).cells[0], cell, "the answer to an old report says nothing");
    tally.acknowledge(3);
    assert!(tally.report(4)[0].generations.is_empty());
    assert!(tally.is_settled());
}

#[test]
fn what_happens_while_a_report_travels_is_reported_again() {
    let mut tally = loaded(&[rollout("shop", "r1", 1)]);
    let close_one = |tally: &mut Tally| {
        let ticket = tally.open(weighted(Track::Primary, 0)).unwrap();
        tally.close(ticket, &ended(Track::Primary, Outcome::Succeeded, MS));
    };
    close_one(&mut tally);
    assert_eq!(only(&mut tally, 1).cells[0].requests, 1);
    close_one(&mut tally);
    tally.acknowledge(1);
    assert_eq!(only(&mut tally, 2).cells[0].requests, 2);
}

#[test]
fn a_hanging_request_is_seen_at_every_edge_while_it_hangs() {
    let mut tally = loaded(&[rollout("shop", "r1", 1)]);
    let ticket = tally.open(weighted(Track::Canary, 1_000 * MS)).unwrap();
    let at = |tally: &mut Tally, ms: u64| -> Vec<(u64, u64)> {
        tally.flush((1_000 + ms) * MS);
        let report = only(tally, ms);
        (0..3).map(|edge| report.cells[0].latency.at_edge(edge)).collect()
    };
    tally.flush(1_001 * MS);
    assert!(tally.report(0)[0].generations.is_empty(), "one that equals an edge is not past it");
    assert_eq!(at(&mut tally, 2), [(1, 1), (0, 0), (0, 0)]);
    assert_eq!(at(&mut tally, 11), [(1, 1), (1, 1), (0, 0)]);
    tally.acknowledge(11);
    tally.flush(1_012 * MS);
    assert!(tally.report(12)[0].generations.is_empty(), "no news: nothing was outlived since");
    assert_eq!(at(&mut tally, 500), [(1, 1), (1, 1), (1, 1)]);
    tally.close(ticket, &ended(Track::Canary, Outcome::Succeeded, 1_600 * MS));
    assert_eq!(at(&mut tally, 700), [(1, 1), (1, 1), (1, 1)], "counted once, not twice");
}

#[test]
fn an_upgraded_connection_is_never_slow() {
    let mut tally = loaded(&[rollout("shop", "r1", 1)]);
    let ticket = tally.open(weighted(Track::Canary, 0)).unwrap();
    tally.upgrade(&ticket);
    tally.flush(10_000 * MS);
    assert!(tally.report(1)[0].generations.is_empty());
    tally.close(ticket, &ended(Track::Canary, Outcome::Upgraded, 20_000 * MS));
    let cell = only(&mut tally, 2).cells[0].clone();
    assert_eq!((cell.requests, cell.upgraded, cell.latency), (1, 1, crate::Latency::default()));
}

#[test]
fn a_request_whose_end_nobody_saw_counts_as_nothing() {
    let mut tally = loaded(&[rollout("shop", "r1", 1)]);
    let ticket = tally.open(weighted(Track::Canary, 0)).unwrap();
    tally.flush(MS);
    tally.forget(ticket);
    tally.flush(60 * MS);
    assert!(tally.report(1)[0].generations.is_empty());
    assert!(tally.is_settled());
}

#[test]
fn a_request_whose_end_nobody_saw_stays_past_the_edges_that_it_was_seen_outliving() {
    let mut tally = loaded(&[rollout("shop", "r1", 1)]);
    let ticket = tally.open(weighted(Track::Canary, 0)).unwrap();
    tally.flush(50 * MS);
    assert_eq!(only(&mut tally, 1).cells[0].latency.censored, [0, 0, 1]);
    tally.forget(ticket);
    tally.flush(60 * MS);
    assert_eq!(only(&mut tally, 2).cells[0].latency.censored, [0, 0, 1]);
    tally.acknowledge(2);
    assert!(tally.is_settled());
}

#[test]
fn a_mismatch_is_counted_nowhere_else() {
    let mut tally = loaded(&[rollout("shop", "r1", 1)]);
    for served in [Some(Track::Primary), None] {
        let ticket = tally.open(weighted(Track::Canary, 0)).unwrap();
        tally.close(ticket, &Closing { served, ..ended(Track::Canary, Outcome::Failed, MS) });
    }
    let report = only(&mut tally, 1);
    assert_eq!((report.mismatched, report.cells.len()), (2, 0));
}

#[test]
fn requests_in_flight_stay_with_the_generation_that_decided_them() {
    let mut tally = loaded(&[rollout("shop", "r1", 1)]);
    let old = tally.open(weighted(Track::Canary, 0)).unwrap();
    tally.load(&[rollout("shop", "r1", 2)]);
    let new = tally.open(weighted(Track::Primary, 0)).unwrap();
    tally.load(&[rollout("shop", "r2", 1)]);
    tally.close(new, &ended(Track::Primary, Outcome::Succeeded, MS));
    let report = tally.report(1);
    assert_eq!(report.len(), 2, "the ended run stays while requests are in flight");
    assert_eq!((&*report[0].run, report[0].generation), ("r1", 2));
    assert_eq!(report[0].generations[0].generation, 2);
    assert_eq!(report[1].run, "r2");
    tally.acknowledge(1);
    assert_eq!(tally.report(2).len(), 2, "one request is still in flight");
    tally.close(old, &ended(Track::Canary, Outcome::Failed, MS));
    tally.publish(|_| {});
    assert_eq!(tally.report(3)[0].generations[0].cells[0].failures, 1);
    tally.acknowledge(3);
    assert_eq!(tally.report(4).len(), 1);
    assert!(tally.is_settled());
}

#[test]
fn users_are_counted_by_flush_and_only_where_sticky() {
    let mut tally = loaded(&[rollout("shop", "r1", 1)]);
    for (key, assignment, outcome) in [
        (Some(1), Assignment::Sticky, Outcome::Succeeded),
        (Some(1), Assignment::Sticky, Outcome::Succeeded),
        (Some(2), Assignment::Sticky, Outcome::Failed),
        (Some(3), Assignment::Sticky, Outcome::Abandoned),
        (None, Assignment::Weight, Outcome::Failed),
    ] {
        let opening = Opening { assignment, key: key.map(KeyHash), ..weighted(Track::Canary, 0) };
        let ticket = tally.open(opening).unwrap();
        tally.close(ticket, &ended(Track::Canary, outcome, MS));
    }
    tally.flush(MS);
    let keyed = only(&mut tally, 1).keyed;
    assert_eq!(keyed.len(), 1);
    assert_eq!((keyed[0].at_risk, &*keyed[0].failed), (2, &[KeyHash(2)][..]));
}

#[test]
fn whatever_envoy_says_the_report_keeps_the_receivers_rules() {
    let mut tally = loaded(&[rollout("shop", "r1", 1)]);
    for address in [&b"\xff\xfe"[..], b"\xfe\xff", b"a\nb", b"ab", &[b'x'; 9_000], &[0xff; 9_000]] {
        let ticket = tally.open(weighted(Track::Canary, u64::MAX)).unwrap();
        let closing = ended(Track::Canary, Outcome::Failed, 0);
        let closing = Closing { attempts: u64::MAX, upstream: Some(address), ..closing };
        tally.close(ticket, &closing);
    }
    let report = crate::Report {
        version: crate::VERSION,
        scope: "prod".into(),
        side: crate::Side::Client,
        proxy: "p".into(),
        namespace: String::new(),
        boot: "0".repeat(16),
        sequence: 1,
        problem: None,
        rollouts: tally.report(1),
    };
    assert_eq!(crate::Report::parse(&report.to_json()).unwrap(), report);
    let cell = &report.rollouts[0].generations[0].cells[0];
    assert_eq!((cell.failures, cell.upstreams.len(), cell.retries), (6, 4, 6 * 999));
}

#[test]
fn envoys_counters_are_told_once() {
    let mut tally = loaded(&[rollout("shop", "r1", 1)]);
    for outcome in [Outcome::Succeeded, Outcome::Failed, Outcome::Abandoned] {
        let ticket = tally.open(weighted(Track::Canary, 0)).unwrap();
        tally.close(ticket, &ended(Track::Canary, outcome, MS));
    }
    let mut told = Vec::new();
    for _ in 0..2 {
        tally.publish(|delta| told.push((delta.track, delta.requests, delta.failures)));
    }
    assert_eq!(told, [(Track::Canary, 2, 1)]);
}

#[test]
fn generations_that_nobody_acknowledges_are_bounded() {
    let mut tally = Tally::default();
    for generation in 0..1_000 {
        tally.load(&[rollout("shop", "r1", generation)]);
        let ticket = tally.open(weighted(Track::Canary, 0)).unwrap();
        tally.close(ticket, &ended(Track::Canary, Outcome::Succeeded, MS));
    }
    let numbers: Vec<u64> = tally.report(1)[0].generations.iter().map(|it| it.generation).collect();
    assert_eq!(numbers, (936..1_000).collect::<Vec<_>>());
}

#[test]
fn runs_that_nobody_acknowledges_are_bounded() {
    let mut tally = Tally::default();
    for run in 0..1_000 {
        tally.load(&[rollout("shop", &format!("r{run}"), 1)]);
        let ticket = tally.open(weighted(Track::Canary, 0)).unwrap();
        tally.close(ticket, &ended(Track::Canary, Outcome::Succeeded, MS));
        tally.publish(|_| {});
    }
    let report = tally.report(1);
    assert_eq!(report.len(), ENDED_MAX + 1);
    assert_eq!(report[ENDED_MAX].run, "r999", "the newest are kept");
}

#[test]
fn a_crowd_of_generations_takes_turns() {
    let rollouts: Vec<_> = (0..600).map(|n| rollout(&format!("shop-{n}"), "r", 1)).collect();
    let mut tally = loaded(&rollouts);
    let mut seen = std::collections::BTreeSet::new();
    for sequence in 1..=3 {
        for rollout in 0..600 {
            let ticket = tally.open(Opening { rollout, ..weighted(Track::Canary, 0) }).unwrap();
            tally.close(ticket, &ended(Track::Canary, Outcome::Succeeded, MS));
        }
        let report = tally.report(sequence);
        let shown: Vec<_> = report.iter().filter(|it| !it.generations.is_empty()).collect();
        assert!(shown.len() <= REPORTED_MAX && report.len() == 600);
        seen.extend(shown.iter().map(|it| it.name.clone()));
        tally.acknowledge(sequence);
    }
    assert_eq!(seen.len(), 600);
}
