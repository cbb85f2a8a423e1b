//! Envoy goes back to an earlier configuration whose root context still lives, and says so to nobody.

use serin_route::{Rollout, Track};
use serin_tests::host::Answer;

use crate::fixture::{PERIOD_MS, TRACK, Thread, configuration, rollout, shop, table};

const SECOND_NS: u64 = 1_000_000_000;
const BAD: &[u8] = b"{\"version\": 99}";

fn at(generation: u64, percent: u8) -> serin_route::Table {
    table(vec![Rollout { generation, ..rollout(percent) }])
}

/// Requests of a root context over more than a second; the track of the last.
fn requests(thread: &mut Thread, root: u32) -> Track {
    let mut canary = false;
    for _ in 0..4 {
        let passed = thread.vm.exchange(root, &shop(), &Answer::of(200));
        canary = passed.request(TRACK).is_some();
        thread.vm.world_mut().now_ns += SECOND_NS / 2;
    }
    if canary { Track::Canary } else { Track::Primary }
}

/// Ticks of any root context that wants to.
fn settle(thread: &mut Thread, roots: &[u32]) {
    for _ in 0..4 {
        for root in roots {
            thread.vm.tick(*root);
            thread.deliver();
        }
    }
}

#[test]
fn an_earlier_table_that_gets_requests_again_is_in_force_again() {
    let mut thread = Thread::with(&at(1, 0));
    let first = thread.root;
    let slow = thread.vm.begin(first, &shop());
    let second = {
        thread.load(&at(2, 100));
        thread.root
    };
    assert_eq!(requests(&mut thread, second), Track::Canary);
    settle(&mut thread, &[first, second]);
    assert_eq!(thread.receiver.last().rollouts[0].generation, 2);

    assert_eq!(requests(&mut thread, first), Track::Primary);
    settle(&mut thread, &[first, second]);
    assert_eq!(thread.receiver.last().rollouts[0].generation, 1);
    thread.vm.finish(slow, &Answer::of(200));
    assert_eq!(requests(&mut thread, first), Track::Primary);
    settle(&mut thread, &[first, second]);
    let counted = |number, track| {
        let cells = thread.generation(number).cells;
        cells.iter().filter(|it| it.track == track).map(|it| it.requests).sum::<u64>()
    };
    // Of the first four, those before the change was certain were decided by the table then in force.
    assert_eq!(counted(1, Track::Primary) + counted(2, Track::Canary), 13);
    assert_eq!(counted(2, Track::Canary), 4 + 2);
}

#[test]
fn an_earlier_table_whose_successor_goes_is_in_force_again_without_a_request() {
    let mut thread = Thread::with(&at(1, 0));
    let first = thread.root;
    let slow = thread.vm.begin(first, &shop());
    thread.load(&at(2, 100));
    let second = thread.root;
    settle(&mut thread, &[first, second]);
    assert_eq!(thread.receiver.last().rollouts[0].generation, 2);
    thread.vm.delete(second);
    settle(&mut thread, &[first]);
    assert_eq!(thread.receiver.last().rollouts[0].generation, 1);
    let passed = thread.vm.exchange(first, &shop(), &Answer::of(200));
    assert_eq!(passed.request(TRACK), None);
    thread.vm.finish(slow, &Answer::of(200));
}

#[test]
fn one_that_had_fallen_silent_is_woken() {
    let mut thread = Thread::with(&table(Vec::new()));
    let first = thread.root;
    thread.settle();
    assert_eq!(thread.vm.world().tick_ms(first), 0, "an empty table that is known");
    thread.load(&at(1, 100));
    let second = thread.root;
    settle(&mut thread, &[first, second]);
    let before = thread.receiver.reports.len();
    thread.vm.delete(second);
    settle(&mut thread, &[first]);
    assert!(thread.receiver.reports.len() > before, "the empty table is told of again");
    assert_eq!(thread.receiver.last().rollouts, []);
}

#[test]
fn a_refused_table_that_was_taken_back_is_no_problem_any_more() {
    let mut thread = Thread::with(&at(1, 100));
    let first = thread.root;
    let slow = thread.vm.begin(first, &shop());
    thread.configure(BAD);
    let bad = thread.root;
    settle(&mut thread, &[first, bad]);
    assert!(thread.receiver.last().problem.is_some());

    requests(&mut thread, first);
    settle(&mut thread, &[first, bad]);
    assert_eq!(thread.receiver.last().problem, None);
    let gauge = "wasm_filter.serin.tag.prod;.serin_config_rejected";
    assert_eq!(thread.vm.world().metric(gauge), Some(0));

    requests(&mut thread, bad);
    settle(&mut thread, &[first, bad]);
    assert!(thread.receiver.last().problem.is_some(), "and once more the other way");
    assert_eq!(thread.vm.world().metric(gauge), Some(1));
    thread.vm.finish(slow, &Answer::of(200));
}

#[test]
fn a_listener_that_drains_changes_nothing_while_another_is_served() {
    let mut thread = Thread::with(&at(1, 0));
    let first = thread.root;
    thread.load(&at(2, 100));
    let second = thread.root;
    for _ in 0..20 {
        for root in [first, second] {
            let passed = thread.vm.exchange(root, &shop(), &Answer::of(200));
            assert!(passed.request(TRACK).is_some(), "the newer table decides");
            thread.vm.world_mut().now_ns += SECOND_NS / 3;
        }
    }
    settle(&mut thread, &[first, second]);
    assert_eq!(thread.receiver.last().rollouts[0].generation, 2);
}

#[test]
fn listeners_that_have_the_same_table_are_at_one() {
    let mut thread = Thread::with(&at(1, 100));
    let first = thread.root;
    let second = thread.vm.configure("prod.serin", &configuration(&at(1, 100)));
    settle(&mut thread, &[first, second]);
    thread.vm.world_mut().listen();
    for _ in 0..4 {
        let id = thread.vm.open(first, &shop());
        assert_eq!(thread.vm.world_mut().heard(), [], "no question of who leads");
        thread.vm.delete(id);
        thread.vm.world_mut().heard();
        thread.vm.world_mut().now_ns += SECOND_NS;
    }
    assert!(thread.vm.world().tick_ms(second) <= PERIOD_MS, "it leads still");
}
