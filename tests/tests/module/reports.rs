//! Reports: when they come, what they say, and what happens when nobody listens.

use serin_route::{KeySource, Rollout, Table, Track, VERSION};
use serin_tests::host::Answer;

use crate::fixture::{PERIOD_MS, Thread, rollout, shop, table};

#[test]
fn every_table_is_acknowledged_soon_even_an_empty_one() {
    for rollouts in [Vec::new(), vec![rollout(10)]] {
        let mut thread = Thread::with(&table(rollouts));
        let began = thread.vm.world().now_ns;
        thread.tick();
        let report = thread.receiver.last();
        assert!(thread.vm.world().now_ns - began <= 20_000_000);
        assert_eq!((report.version, &*report.scope), (VERSION, "prod"));
        assert_eq!(report.proxy, "sidecar~10.0.0.7~shop-1.prod");
        assert_eq!(report.namespace, "prod");
        assert_eq!(report.boot.len(), 16);
        assert!(report.rollouts.iter().all(|it| (&*it.name, it.generation) == ("shop", 1)));
        assert!(report.rollouts.iter().all(|it| it.generations.is_empty()));
    }
}

#[test]
fn a_table_that_wants_no_reports_sends_none() {
    let silent = Table { reports: None, ..table(vec![rollout(100)]) };
    let mut thread = Thread::with(&silent);
    thread.exchange(&shop(), &Answer::of(200));
    thread.settle();
    assert!(thread.receiver.reports.is_empty());
    let stat = "wasm_filter.serin.cache.shop.component.canary.tag.prod;.serin_requests_total";
    assert_eq!(thread.vm.world().metric(stat), Some(1), "people's statistics still rise");
}

#[test]
fn a_rollout_reports_each_period_and_an_empty_table_is_silent() {
    let mut thread = Thread::with(&table(vec![rollout(10)]));
    thread.tick();
    let first = thread.vm.world().tick_ms(thread.root);
    assert!((PERIOD_MS / 2..=PERIOD_MS).contains(&first), "out of step on purpose: {first}");
    for _ in 0..3 {
        thread.tick();
        assert_eq!(thread.vm.world().tick_ms(thread.root), PERIOD_MS);
    }
    let mut sequences: Vec<u64> = thread.receiver.reports.iter().map(|it| it.sequence).collect();
    assert_eq!(sequences.len(), 4);
    sequences.dedup();
    assert!(sequences.is_sorted() && sequences.len() == 4, "{sequences:?}");

    thread.load(&table(Vec::new()));
    thread.tick();
    assert_eq!(thread.vm.world().tick_ms(thread.root), 0);
}

#[test]
fn threads_differ_in_their_boot_and_in_their_step() {
    let table = table(vec![rollout(10)]);
    let mut boots = Vec::new();
    let mut steps = Vec::new();
    for seed in 0..20 {
        let mut thread = Thread::seeded(seed, &table);
        thread.tick();
        boots.push(thread.receiver.last().boot.clone());
        steps.push(thread.vm.world().tick_ms(thread.root));
    }
    boots.sort();
    boots.dedup();
    steps.sort_unstable();
    steps.dedup();
    assert_eq!(boots.len(), 20);
    assert!(steps.len() > 10, "{steps:?}");
}

#[test]
fn a_boot_outlives_configurations() {
    let mut thread = Thread::with(&table(vec![rollout(10)]));
    thread.tick();
    let boot = thread.receiver.last().boot.clone();
    thread.load(&table(vec![Rollout { generation: 2, ..rollout(20) }]));
    thread.tick();
    assert_eq!(thread.receiver.last().boot, boot);
}

#[test]
fn with_the_receiver_away_for_30_s_nothing_is_lost_and_nothing_counted_twice() {
    let mut thread = Thread::with(&table(vec![rollout(100)]));
    thread.settle();
    let exchange = |thread: &mut Thread| {
        thread.exchange(&shop(), &Answer::of(500));
        thread.exchange(&shop(), &Answer::of(200));
    };
    exchange(&mut thread);
    for second in 0..30 {
        thread.vm.tick(thread.root);
        match second % 3 {
            // The connection is refused; it hangs; the report arrives and the answer is lost.
            0 => thread.lose(),
            1 => thread.vm.world_mut().calls.clear(),
            _ => {
                let calls = std::mem::take(&mut thread.vm.world_mut().calls);
                for call in calls {
                    thread.receiver.take(&call);
                    thread.vm.answer(&call, Some(b"503"));
                }
            }
        }
        exchange(&mut thread);
    }
    for _ in 0..10 {
        thread.tick();
    }
    let cell = thread.cell(Track::Canary);
    assert_eq!((cell.requests, cell.failures), (62, 31));
    let quiet = thread.receiver.last();
    assert!(quiet.rollouts[0].generations.is_empty(), "known by now: not repeated");
}

#[test]
fn one_report_is_on_its_way_at_a_time() {
    let mut thread = Thread::with(&table(vec![rollout(100)]));
    thread.vm.tick(thread.root);
    assert_eq!(thread.vm.world().calls.len(), 1);
    let timeout_ms = thread.vm.world().calls[0].timeout_ms;
    assert_eq!(timeout_ms, 2 * PERIOD_MS);
    thread.vm.tick(thread.root);
    assert_eq!(thread.vm.world().calls.len(), 1, "the first is still on its way");
    for _ in 0..5 {
        thread.vm.tick(thread.root);
    }
    assert_eq!(thread.vm.world().calls.len(), 2, "the first is overdue");
}

#[test]
fn an_answer_that_comes_to_an_older_root_context_counts() {
    let mut thread = Thread::with(&table(vec![rollout(100)]));
    thread.exchange(&shop(), &Answer::of(200));
    thread.vm.tick(thread.root);
    thread.load(&table(vec![Rollout { generation: 2, ..rollout(100) }]));
    thread.deliver();
    thread.tick();
    assert_eq!(thread.cell(Track::Canary).requests, 1);
    let last = &thread.receiver.last().rollouts[0];
    assert_eq!((last.generation, last.generations.len()), (2, 0), "generation 1 is known");
}

#[test]
fn the_answer_to_an_earlier_tables_report_acknowledges_nothing() {
    let mut thread = Thread::with(&table(Vec::new()));
    thread.vm.tick(thread.root);
    thread.load(&table(Vec::new()));
    thread.deliver();
    thread.tick();
    assert_eq!(thread.receiver.reports.len(), 2);
    assert_eq!(thread.vm.world().tick_ms(thread.root), 0);
}

#[test]
fn an_unknown_cluster_is_no_harm() {
    let mut thread = Thread::with(&table(vec![rollout(100)]));
    thread.vm.world_mut().cluster_known = false;
    for _ in 0..5 {
        thread.exchange(&shop(), &Answer::of(200));
        thread.tick();
    }
    let failed = thread.vm.world().metric("wasm_filter.serin.serin_reports_failed_total");
    assert_eq!(failed, Some(5));
    thread.vm.world_mut().cluster_known = true;
    thread.settle();
    assert_eq!(thread.cell(Track::Canary).requests, 5);
}

#[test]
fn people_are_told_once_of_a_cluster_that_stays_unknown() {
    let told = |thread: &Thread| {
        let lines = &thread.vm.world().logged;
        lines
            .iter()
            .filter(|line| line.contains("no report can be sent"))
            .cloned()
            .collect::<Vec<_>>()
    };
    let unknown = |thread: &mut Thread, ticks| {
        thread.vm.world_mut().cluster_known = false;
        (0..ticks).for_each(|_| thread.tick());
        thread.vm.world_mut().cluster_known = true;
    };
    let mut thread = Thread::with(&table(vec![rollout(100)]));
    unknown(&mut thread, 2);
    assert_eq!(told(&thread), [""; 0], "it may only be late");
    thread.tick();
    unknown(&mut thread, 50);
    // Neither ticks nor tables repeat it.
    thread.load(&table(vec![Rollout { generation: 2, ..rollout(20) }]));
    unknown(&mut thread, 50);
    let lines = told(&thread);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains("receiver") && lines[0].contains("Sidecar"), "{lines:?}");
    thread.tick();
    unknown(&mut thread, 3);
    assert_eq!(told(&thread).len(), 2, "it was known in between");
}

#[test]
fn an_idle_filter_that_nobody_answers_asks_ever_more_rarely() {
    let mut thread = Thread::with(&table(Vec::new()));
    let mut periods = Vec::new();
    for _ in 0..12 {
        thread.vm.tick(thread.root);
        thread.lose();
        periods.push(thread.vm.world().tick_ms(thread.root));
    }
    assert!(periods[0] <= 2 * PERIOD_MS, "{periods:?}");
    assert!((30_000..=60_000).contains(&periods[11]), "{periods:?}");
    thread.tick();
    assert_eq!(thread.vm.world().tick_ms(thread.root), 0, "answered at last");
}

#[test]
fn keyed_users_are_counted_by_flush_and_failed_ones_by_their_hash() {
    let mut rollout = rollout(100);
    rollout.keys = vec![KeySource::Header("x-user".into())];
    let mut thread = Thread::with(&table(vec![rollout]));
    let alice = shop().with("x-user", "alice");
    let bob = shop().with("x-user", "bob");
    for _ in 0..3 {
        thread.exchange(&alice, &Answer::of(200));
        thread.exchange(&bob, &Answer::of(500));
    }
    thread.tick();
    thread.exchange(&alice, &Answer::of(200));
    thread.exchange(&bob, &Answer::of(500));
    thread.settle();
    let keyed = thread.generation(1).keyed;
    assert_eq!((keyed.len(), keyed[0].track, keyed[0].at_risk), (1, Track::Canary, 3));
    // SipHash-1-3 of "bob" under the fixture's salt, as core/route's golden vectors have it.
    assert_eq!(String::from(keyed[0].failed[0]), "0c3825c1b0156473");
    assert_eq!((keyed[0].failed.len(), keyed[0].overflow), (1, false));
}
