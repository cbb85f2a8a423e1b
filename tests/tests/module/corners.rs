//! Two sides of one scope, streams that cannot be claimed, answers that only offer an upgrade, refusals before any good
//! table, clocks set back.

use serin_route::{Side, Table, Track};
use serin_tests::host::{Answer, Routes};

use crate::fixture::{TRACK, Thread, configuration, host, rollout, shop, table};

#[test]
fn two_sides_of_one_scope_count_apart() {
    let mut thread = Thread::with(&table(vec![rollout(100)]));
    let client = thread.root;
    let server_table = Table { side: Side::Server, ..table(vec![rollout(100)]) };
    let server = thread.vm.configure("prod.serin-server", &configuration(&server_table));
    let pods = serin_tests::host::Exchange::get(Routes::Named(b"inbound".to_vec()));
    for _ in 0..5 {
        let passed = thread.vm.exchange(client, &shop(), &Answer::of(200));
        assert!(passed.request(TRACK).is_some(), "the client's side steers");
        thread.vm.exchange(server, &pods, &Answer::of(200));
    }
    let mut sides = Vec::new();
    for _ in 0..3 {
        for root in [client, server] {
            thread.vm.tick(root);
            thread.deliver();
            sides.push(thread.receiver.last().side);
        }
    }
    assert!(sides.contains(&Side::Client) && sides.contains(&Side::Server), "{sides:?}");
    for side in [Side::Client, Side::Server] {
        let of_side = thread.receiver.reports.iter().filter(|it| it.side == side);
        let cells = of_side.flat_map(|it| &it.rollouts[0].generations).flat_map(|it| &it.cells);
        assert_eq!(cells.map(|it| it.requests).max(), Some(5), "{side:?}");
    }
}

#[test]
fn a_stream_that_cannot_be_claimed_is_left_alone() {
    let mut thread = Thread::with(&Table { claim: true, ..table(vec![rollout(100)]) });
    for (settable, steered) in [(true, true), (false, false)] {
        thread.vm.world_mut().settable = settable;
        let track = thread.exchange(&shop(), &Answer::of(200));
        assert_eq!(track.is_some(), steered, "else two scopes would steer it and count it");
    }
    thread.settle();
    assert_eq!(thread.cell(Track::Canary).requests, 1);
}

#[test]
fn an_answer_that_only_offers_an_upgrade_is_timed() {
    let mut thread = Thread::with(&table(vec![rollout(100)]));
    let id = thread.vm.begin(thread.root, &shop());
    let offer = vec![("upgrade".to_owned(), b"h2,h2c".to_vec())];
    let answer = Answer { headers: Some(offer), ..Answer::of(200) };
    thread.vm.respond(id, &answer);
    thread.vm.world_mut().now_ns += 500_000_000;
    thread.settle();
    let censored = thread.cell(Track::Canary).latency.censored;
    assert!(censored.iter().any(|it| *it > 0), "it hangs, and that is seen: {censored:?}");
    thread.vm.finish(id, &answer);
}

#[test]
fn a_good_table_makes_good_what_was_refused_before_it() {
    let unknown = "wasm_filter.serin.tag.unknown;.serin_config_rejected";
    for side in [Side::Client, Side::Server] {
        let mut vm = host().start(1);
        vm.configure("one", b"{");
        vm.configure("two", b"{");
        let good = configuration(&Table { side, ..table(vec![rollout(100)]) });
        vm.configure("one", &good);
        assert_eq!(vm.world().metric(unknown), Some(1), "the other plugin has none yet");
        vm.configure("two", &good);
        assert_eq!(vm.world().metric(unknown), Some(0));
    }
}

#[test]
fn a_clock_set_back_holds_no_report_up() {
    let mut thread = Thread::with(&table(vec![rollout(100)]));
    thread.settle();
    thread.exchange(&shop(), &Answer::of(200));
    thread.tick();
    thread.vm.tick(thread.root);
    assert_eq!(thread.vm.world().calls.len(), 1);
    // Its answer never comes.
    thread.vm.world_mut().calls.clear();
    thread.vm.world_mut().now_ns -= 3_600_000_000_000;
    let before = thread.receiver.reports.len();
    for _ in 0..8 {
        thread.tick();
    }
    assert!(thread.receiver.reports.len() > before);
}
