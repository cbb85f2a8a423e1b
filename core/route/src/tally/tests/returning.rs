//! Tables that come back: counters are a boot's, so they go on where they were, or not at all.

use super::*;

fn one(tally: &mut Tally, route: Option<usize>) -> bool {
    let Some(ticket) = tally.open(Opening { route, ..weighted(Track::Canary, 0) }) else {
        return false;
    };
    tally.close(ticket, &ended(Track::Canary, Outcome::Succeeded, MS));
    true
}

fn settle(tally: &mut Tally, sequence: u64) {
    tally.publish(|_| {});
    tally.flush(MS);
    tally.report(sequence);
    tally.acknowledge(sequence);
}

#[test]
fn a_generation_that_comes_back_counts_on() {
    let mut tally = loaded(&[rollout("shop", "r1", 5)]);
    for _ in 0..100 {
        one(&mut tally, None);
    }
    settle(&mut tally, 1);
    tally.load(&[rollout("shop", "r1", 6)]);
    one(&mut tally, None);
    settle(&mut tally, 2);
    tally.load(&[rollout("shop", "r1", 5)]);
    one(&mut tally, None);
    let report = only(&mut tally, 3);
    assert_eq!((report.generation, report.cells[0].requests), (5, 101));
}

#[test]
fn a_run_that_comes_back_counts_on_and_says_nothing_while_it_is_away() {
    let mut tally = loaded(&[rollout("shop", "r1", 5)]);
    for _ in 0..100 {
        one(&mut tally, None);
    }
    settle(&mut tally, 1);
    tally.load(&[]);
    settle(&mut tally, 2);
    assert!(tally.report(3).is_empty());
    tally.load(&[rollout("shop", "r1", 5)]);
    one(&mut tally, None);
    assert_eq!(only(&mut tally, 4).cells[0].requests, 101);
}

#[test]
fn a_generation_dropped_long_ago_is_counted_no_more() {
    let mut tally = Tally::default();
    for generation in 1..=5 {
        tally.load(&[rollout("shop", "r1", generation)]);
        one(&mut tally, None);
        settle(&mut tally, generation);
    }
    for (generation, counted) in
        [(1, false), (2, false), (3, false), (4, true), (5, true), (6, true)]
    {
        tally.load(&[rollout("shop", "r1", generation)]);
        assert_eq!(one(&mut tally, None), counted, "{generation}");
    }
}

#[test]
fn runs_that_are_over_make_way_first() {
    let mut tally = loaded(&[rollout("shop", "unanswered", 1)]);
    one(&mut tally, None);
    for run in 0..2 * ENDED_MAX {
        tally.load(&[rollout("shop", &format!("r{run}"), 1)]);
        one(&mut tally, None);
        tally.publish(|_| {});
        tally.flush(MS);
        for generation in generations(&mut tally.runs).skip(1) {
            generation.settle();
        }
    }
    tally.flush(MS);
    assert_eq!(tally.runs.len(), ENDED_MAX + 1);
    assert_eq!(tally.report(1)[0].run, "unanswered");
}

#[test]
fn other_routes_within_a_generation_are_named_no_more() {
    let named = |names: &[&str]| Rollout {
        routes: (names.iter())
            .map(|name| crate::RoutePattern { name: (*name).into(), when: Vec::new() })
            .collect(),
        ..rollout("shop", "r1", 1)
    };
    let mut tally = loaded(&[named(&["cart"])]);
    one(&mut tally, Some(0));
    one(&mut tally, None);
    tally.load(&[named(&["cart", "pay"])]);
    one(&mut tally, Some(0));
    one(&mut tally, Some(1));
    tally.load(&[named(&["cart"])]);
    one(&mut tally, Some(0));
    let cells = only(&mut tally, 1).cells;
    let counts: Vec<_> = cells.iter().map(|cell| (cell.route.as_deref(), cell.requests)).collect();
    assert_eq!(counts, [(None, 3), (Some("cart"), 2)]);
}

#[test]
fn one_generations_failed_users_do_not_blind_the_next() {
    let mut tally = Tally::default();
    for (generation, users, blind) in
        [(1, 2_048, false), (2, 1, false), (3, 2_049, true), (4, 7, false)]
    {
        tally.load(&[rollout("shop", "r1", generation)]);
        for user in 0..users {
            let key = Some(KeyHash(generation * 1_000_000 + user));
            let assignment = Assignment::Sticky;
            let opening = Opening { assignment, key, ..weighted(Track::Canary, 0) };
            let ticket = tally.open(opening).unwrap();
            tally.close(ticket, &ended(Track::Canary, Outcome::Failed, MS));
        }
        tally.flush(MS);
        let keyed = only(&mut tally, generation).keyed;
        tally.acknowledge(generation);
        assert_eq!(keyed[0].overflow, blind, "{generation}");
        assert_eq!(keyed[0].failed.len(), usize::try_from(users).unwrap().min(2_048));
    }
}
