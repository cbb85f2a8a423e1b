//! What becomes of requests: every order of callbacks and every ending that was measured on Envoy.

use serin_route::{Rollout, Track};
use serin_tests::host::Answer;

use crate::fixture::{Thread, rollout, shop, table};

fn ended(code: Option<u64>, flags: u64) -> Answer {
    let headers = code.map(|_| Vec::new());
    Answer { code, flags, headers, ..Answer::of(0) }
}

/// Requests, failures, resets, abandoned, upgraded.
fn counted(answer: &Answer, track: Track) -> [u64; 5] {
    let percent = if track == Track::Canary { 100 } else { 0 };
    let mut thread = Thread::with(&table(vec![rollout(percent)]));
    let id = thread.vm.begin(thread.root, &shop());
    thread.vm.world_mut().now_ns += 20_000_000;
    thread.vm.finish(id, answer);
    thread.settle();
    let cell = thread.cell(track);
    [cell.requests, cell.failures, cell.resets, cell.abandoned, cell.upgraded]
}

#[test]
fn every_ending_is_counted_as_what_it_is() {
    for (name, code, flags, expected) in [
        ("answered", Some(200), 0, [1, 0, 0, 0, 0]),
        ("upstream timeout", Some(504), 0x4, [1, 1, 1, 0, 0]),
        ("connection refused", Some(503), 0x20, [1, 1, 1, 0, 0]),
        ("reset before headers", Some(503), 0x40, [1, 1, 1, 0, 0]),
        ("bad protocol", Some(502), 0x80_0000, [1, 1, 1, 0, 0]),
        ("retries exhausted", Some(503), 0x8040, [1, 1, 1, 0, 0]),
        ("truncated body", Some(200), 0x80_0000, [1, 1, 1, 0, 0]),
        ("timeout after headers", Some(200), 0x4, [1, 1, 1, 0, 0]),
        ("client abort", None, 0x4000, [0, 0, 0, 1, 0]),
        ("local reply by a filter", Some(403), 0, [1, 0, 0, 0, 0]),
        ("failed after an injected delay", Some(500), 0x200, [1, 1, 0, 0, 0]),
        ("websocket", Some(101), 0x40, [1, 0, 0, 0, 1]),
        ("server error", Some(500), 0, [1, 1, 0, 0, 0]),
    ] {
        for track in [Track::Primary, Track::Canary] {
            assert_eq!(counted(&ended(code, flags), track), expected, "{name}, {track:?}");
        }
    }
}

#[test]
fn an_injected_abort_is_nobodys() {
    let mut thread = Thread::with(&table(vec![rollout(100)]));
    let id = thread.vm.begin(thread.root, &shop());
    thread.vm.finish(id, &ended(Some(503), 0x400));
    thread.settle();
    assert_eq!(thread.generation(1).cells, []);
}

#[test]
fn a_request_that_envoy_refuses_never_meets_the_filter() {
    let mut thread = Thread::with(&table(vec![rollout(100)]));
    let id = thread.vm.open(thread.root, &shop());
    thread.vm.finish(id, &ended(Some(400), 0));
    thread.settle();
    assert_eq!(thread.generation(1).cells, []);
}

#[test]
fn callbacks_may_be_left_out_or_repeated() {
    let mut thread = Thread::with(&table(vec![rollout(100)]));
    let answer = Answer::of(200);
    // Ended without a log: nobody knows how.
    let id = thread.vm.begin(thread.root, &shop());
    thread.vm.delete(id);
    // Logged without an answer, and twice.
    let id = thread.vm.begin(thread.root, &shop());
    thread.vm.log(id, &answer);
    thread.vm.log(id, &answer);
    thread.vm.delete(id);
    // Informational answers precede the one that counts.
    let id = thread.vm.begin(thread.root, &shop());
    thread.vm.respond(id, &answer);
    thread.vm.respond(id, &answer);
    thread.vm.log(id, &answer);
    thread.vm.delete(id);
    // Made and ended.
    let id = thread.vm.open(thread.root, &shop());
    thread.vm.delete(id);
    thread.settle();
    assert_eq!(thread.cell(Track::Canary).requests, 2);
}

#[test]
fn a_failures_upstream_is_remembered_and_no_others() {
    let mut thread = Thread::with(&table(vec![rollout(100)]));
    for (code, upstream) in [(200, "10.0.0.1:80"), (500, "10.0.0.2:80"), (500, "10.0.0.2:80")] {
        let answer = Answer { upstream: Some(upstream.into()), ..Answer::of(code) };
        thread.exchange(&shop(), &answer);
    }
    thread.settle();
    let upstreams = thread.cell(Track::Canary).upstreams;
    assert_eq!(upstreams.len(), 1);
    assert_eq!((&*upstreams[0].address, upstreams[0].failures), ("10.0.0.2:80", 2));
}

#[test]
fn attempts_beyond_the_first_are_counted_where_asked_for() {
    for (retries, expected) in [(true, 2), (false, 0)] {
        let mut thread = Thread::with(&table(vec![Rollout { retries, ..rollout(100) }]));
        thread.exchange(&shop(), &Answer { attempts: 3, ..Answer::of(200) });
        thread.settle();
        assert_eq!(thread.cell(Track::Canary).retries, expected);
    }
}

#[test]
fn a_grpc_outcome_is_in_the_trailers_or_else_in_the_headers() {
    let status = |value: &str| vec![("grpc-status".to_owned(), value.as_bytes().to_vec())];
    for (trailers, headers, failures) in [
        (status("0"), Vec::new(), 0),
        (status("14"), Vec::new(), 1),
        (status("5"), Vec::new(), 0),
        (Vec::new(), status("13"), 1),
        (status("0"), status("13"), 0),
        (status("fourteen"), Vec::new(), 0),
        (Vec::new(), Vec::new(), 0),
    ] {
        let mut thread = Thread::with(&table(vec![Rollout { grpc: true, ..rollout(100) }]));
        let answer = Answer { trailers, headers: Some(headers), ..Answer::of(200) };
        thread.exchange(&shop(), &answer);
        thread.settle();
        assert_eq!(thread.cell(Track::Canary).failures, failures, "{answer:?}");
    }
}

#[test]
fn a_request_that_went_elsewhere_is_a_mismatch_and_counts_nowhere_else() {
    let cart = Rollout { name: "cart".into(), run: "run-2".into(), ..rollout(100) };
    let mut thread = Thread::with(&table(vec![rollout(100), cart]));
    let elsewhere = [
        // As where no canary route exists yet.
        "serin/shop.prod/primary",
        "serin/shop.prod/failover",
        "serin/shop.prod/unscoped",
        "serin/cart.prod/canary",
        "default",
        "",
    ];
    for route in elsewhere {
        thread.exchange(&shop(), &Answer { route: Some(route.into()), ..Answer::of(500) });
    }
    thread.exchange(&shop(), &Answer::of(200));
    thread.settle();
    assert_eq!(thread.generation(1).mismatched, 6);
    let cell = thread.cell(Track::Canary);
    assert_eq!((cell.requests, cell.failures), (1, 0));
}

#[test]
fn a_request_that_hangs_is_seen_while_it_hangs() {
    let mut thread = Thread::with(&table(vec![rollout(100)]));
    thread.settle();
    let id = thread.vm.begin(thread.root, &shop());
    thread.tick();
    thread.tick();
    let latency = thread.cell(Track::Canary).latency;
    assert_eq!(latency.at_edge(2), (1, 1), "older than 100 ms: {latency:?}");
    thread.vm.finish(id, &Answer::of(200));
    thread.settle();
    let latency = thread.cell(Track::Canary).latency;
    assert_eq!(latency.at_edge(2), (1, 1), "and not counted twice: {latency:?}");
    assert_eq!(latency.censored, [0; 0]);
}

#[test]
fn an_upgraded_connection_is_never_slow() {
    let mut thread = Thread::with(&table(vec![rollout(100)]));
    let id = thread.vm.begin(thread.root, &shop());
    let upgrade = vec![("upgrade".to_owned(), b"websocket".to_vec())];
    let answer = Answer { headers: Some(upgrade), flags: 0x40, ..Answer::of(101) };
    thread.vm.respond(id, &answer);
    thread.settle();
    assert_eq!(thread.generation(1).cells, []);
    thread.vm.log(id, &answer);
    thread.vm.delete(id);
    thread.settle();
    let cell = thread.cell(Track::Canary);
    assert_eq!((cell.upgraded, cell.failures, cell.latency.done), (1, 0, vec![]));
}
