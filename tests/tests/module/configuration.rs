//! Configurations, good and bad, one after another, while requests are on their way.

use serin_route::{Rollout, Track};
use serin_tests::host::Answer;

use crate::fixture::{NONCE, PERIOD_MS, TRACK, Thread, configuration, host, rollout, shop, table};

const BAD: [&[u8]; 6] =
    [b"{", b"[]", b"\xff\xfe", b"null null", b"{\"version\": 99}", b"{\"rollouts\": 1}"];

#[test]
fn nothing_and_an_empty_object_are_tables_without_rollouts() {
    for configuration in [&b""[..], b"{}"] {
        let mut vm = host().start(1);
        let root = vm.configure("p", configuration);
        let passed = vm.exchange(root, &shop(), &Answer::of(200));
        assert_eq!(passed.request(TRACK), None);
        assert_eq!(vm.world().tick_ms(root), 0, "nobody is waiting for a report");
        assert_eq!(vm.world().metric("wasm_filter.serin.serin_config_rejected_total"), None);
    }
}

#[test]
fn a_bad_first_table_lets_everything_pass() {
    for bad in BAD {
        let mut vm = host().start(1);
        let root = vm.configure("p", bad);
        assert_eq!(vm.exchange(root, &shop(), &Answer::of(200)).request(TRACK), None);
        assert_eq!(vm.world().metric("wasm_filter.serin.serin_config_rejected_total"), Some(1));
        assert_eq!(
            vm.world().metric("wasm_filter.serin.tag.unknown;.serin_config_rejected"),
            Some(1)
        );
        assert_eq!(vm.world().logged.len(), 1);
    }
}

#[test]
fn a_bad_table_keeps_the_last_good_one_and_says_so() {
    let good = table(vec![rollout(100)]);
    let mut thread = Thread::with(&good);
    thread.settle();
    assert_eq!(thread.receiver.last().problem, None);
    for (count, bad) in (1..).zip(BAD) {
        let old = thread.configure(bad);
        thread.vm.delete(old);
        let steered = thread.exchange(&shop(), &Answer::of(200));
        assert_eq!(steered.as_deref(), Some(NONCE.as_bytes()));
        thread.settle();
        let report = thread.receiver.last();
        let problem = report.problem.as_deref().unwrap_or_default();
        assert!(!problem.is_empty() && problem.len() <= 1_024, "{problem}");
        assert_eq!(report.rollouts[0].generation, 1);
        let world = thread.vm.world();
        assert_eq!(world.metric("wasm_filter.serin.serin_config_rejected_total"), Some(count));
        assert_eq!(world.metric("wasm_filter.serin.tag.prod;.serin_config_rejected"), Some(1));
    }
    assert_eq!(thread.cell(Track::Canary).requests, 6);

    thread.load(&table(vec![Rollout { generation: 2, ..rollout(100) }]));
    thread.settle();
    assert_eq!(thread.receiver.last().problem, None);
    let world = thread.vm.world();
    assert_eq!(world.metric("wasm_filter.serin.tag.prod;.serin_config_rejected"), Some(0));
}

#[test]
fn a_bad_table_of_one_plugin_leaves_another_alone() {
    let mut vm = host().start(1);
    let one = vm.configure("one", &configuration(&table(vec![rollout(100)])));
    let mut other = table(vec![rollout(0)]);
    other.scope = "other".into();
    let two = vm.configure("two", &configuration(&other));
    let three = vm.configure("two", b"{");
    assert!(vm.exchange(one, &shop(), &Answer::of(200)).request(TRACK).is_some());
    for root in [two, three] {
        assert_eq!(vm.exchange(root, &shop(), &Answer::of(200)).request(TRACK), None);
    }
}

#[test]
fn requests_on_their_way_stay_with_the_generation_that_decided_them() {
    let mut thread = Thread::with(&table(vec![rollout(100)]));
    let before = thread.vm.begin(thread.root, &shop());
    let old = thread.load(&table(vec![Rollout { generation: 2, ..rollout(0) }]));
    let after = thread.vm.begin(thread.root, &shop());
    thread.vm.finish(after, &Answer::of(200));
    thread.settle();
    assert_eq!(thread.receiver.last().rollouts[0].generation, 2);
    assert_eq!(thread.generation(2).cells[0].track, Track::Primary);
    thread.vm.finish(before, &Answer::of(500));
    thread.vm.delete(old);
    thread.settle();
    let first = thread.generation(1);
    assert_eq!((first.mismatched, first.cells[0].failures), (0, 1));
    assert_eq!(thread.generation(2).cells[0].requests, 1);
}

#[test]
fn an_ended_rollout_is_told_of_until_it_is_known() {
    let mut thread = Thread::with(&table(vec![rollout(100)]));
    let hanging = thread.vm.begin(thread.root, &shop());
    thread.exchange(&shop(), &Answer::of(200));
    thread.load(&table(Vec::new()));
    thread.settle();
    assert_eq!(thread.cell(Track::Canary).requests, 1);
    assert_eq!(thread.receiver.last().rollouts.len(), 1, "one request is on its way");
    thread.vm.finish(hanging, &Answer::of(200));
    thread.settle();
    assert_eq!(thread.cell(Track::Canary).requests, 2);
    assert_eq!(thread.vm.world().tick_ms(thread.root), 0, "all is told: silence");
}

#[test]
fn the_newest_root_context_alone_reports() {
    let mut thread = Thread::with(&table(vec![rollout(100)]));
    let old = thread.load(&table(vec![Rollout { generation: 2, ..rollout(100) }]));
    for _ in 0..3 {
        thread.vm.tick(old);
        assert_eq!(thread.vm.world().calls, []);
    }
    thread.tick();
    assert_eq!(thread.receiver.reports.len(), 1);
}

#[test]
fn an_older_root_context_reports_again_when_the_newer_one_goes() {
    let mut thread = Thread::with(&table(vec![rollout(100)]));
    let old = thread.load(&table(vec![rollout(100)]));
    thread.settle();
    thread.vm.tick(old);
    assert!(thread.vm.world().tick_ms(old) >= 10 * PERIOD_MS, "it only looks now and then");
    thread.vm.delete(thread.root);
    thread.root = old;
    let before = thread.receiver.reports.len();
    thread.tick();
    assert_eq!(thread.receiver.reports.len(), before + 1);
    thread.tick();
    assert_eq!(thread.vm.world().tick_ms(old), PERIOD_MS, "in step again");
    thread.exchange(&shop(), &Answer::of(200));
    thread.settle();
    assert_eq!(thread.cell(Track::Canary).requests, 1);
}

#[test]
fn a_plugin_that_goes_and_comes_back_counts_on() {
    let mut thread = Thread::with(&table(vec![rollout(100)]));
    thread.exchange(&shop(), &Answer::of(200));
    thread.settle();
    thread.exchange(&shop(), &Answer::of(500));
    thread.vm.delete(thread.root);
    thread.load(&table(vec![rollout(100)]));
    thread.exchange(&shop(), &Answer::of(200));
    thread.settle();
    let cell = thread.cell(Track::Canary);
    assert_eq!((cell.requests, cell.failures), (3, 1), "one boot, one count");
}

#[test]
fn scopes_that_come_and_go_take_no_memory() {
    let mut thread = Thread::with(&table(vec![rollout(100)]));
    let mut after_forty = 0;
    for number in 0..400 {
        let mut table = table(vec![rollout(100)]);
        table.scope = format!("scope-{number}");
        let old = thread.load(&table);
        thread.vm.delete(old);
        thread.exchange(&shop(), &Answer::of(200));
        if number == 40 {
            after_forty = thread.vm.memory_bytes();
        }
    }
    assert_eq!(thread.vm.memory_bytes(), after_forty);
}

#[test]
fn two_hundred_configurations_take_no_memory() {
    let mut thread = Thread::with(&table(vec![rollout(50)]));
    let mut after_twenty = 0;
    for generation in 2..200 {
        let old = thread.load(&table(vec![Rollout { generation, ..rollout(50) }]));
        thread.vm.delete(old);
        thread.exchange(&shop(), &Answer::of(200));
        thread.settle();
        if generation == 20 {
            after_twenty = thread.vm.memory_bytes();
        }
    }
    assert_eq!(thread.vm.memory_bytes(), after_twenty);
}
