//! Any bytes, anywhere: no trap, and what must go on goes on.

use proptest::collection::vec;
use proptest::prelude::*;
use serin_route::{
    Affinity, Condition, Direct, KeySource, Report, Rollout, RoutePattern, Rule, SameSite, Secure,
    Subject, Table, Test, Then,
};
use serin_tests::host::{Answer, Exchange, Routes};

use crate::fixture::{
    NONCE, TRACK, Thread, configuration, host, rollout, shop, shop_routes, table,
};

/// A rollout that looks at everything there is to look at.
fn curious() -> Table {
    let regex = Test::Regex("^(.*?;)?(canary=a+)(;.*)?$".into());
    let subjects = [
        Subject::Header("x-any".into()),
        Subject::Cookie("c".into()),
        Subject::Query("q".into()),
        Subject::Path,
        Subject::Authority,
        Subject::Method,
    ];
    let rule = |of| Rule { when: vec![Condition { of, is: regex.clone() }], then: Then::Canary };
    let mut rollout = rollout(50);
    rollout.rules = subjects.map(rule).to_vec();
    rollout.keys = vec![
        KeySource::Header("x-user".into()),
        KeySource::Cookie("user".into()),
        KeySource::RequestId,
    ];
    rollout.affinity = Some(Affinity {
        cookie: "aff".into(),
        max_age_s: 60,
        domain: None,
        path: "/".into(),
        http_only: true,
        secure: Secure::WhenHttps,
        same_site: SameSite::None,
        partitioned: true,
    });
    let path = Condition { of: Subject::Path, is: Test::Prefix("/a".into()) };
    rollout.routes = vec![RoutePattern { name: "a".into(), when: vec![path] }];
    rollout.direct = Some(Direct { primary: vec!["p".into()], canary: vec!["c".into()] });
    rollout.grpc = true;
    rollout.retries = true;
    Table { claim: true, ..table(vec![rollout]) }
}

fn header() -> impl Strategy<Value = (String, Vec<u8>)> {
    let names = vec![
        ":path",
        ":method",
        ":authority",
        "cookie",
        "x-any",
        "x-user",
        "x-request-id",
        TRACK,
        "x-forwarded-proto",
        "upgrade",
        "grpc-status",
    ];
    let pieces = prop_oneof![
        vec(any::<u8>(), 0..64),
        "(c|user|aff|canary)=[a-z0-9\"%;= ]{0,40}".prop_map(String::into_bytes),
        "/[a-z/]{0,8}\\?(q|%71)=(a|%|%f|%ff|\\+)*&?".prop_map(String::into_bytes),
        Just(NONCE.as_bytes().to_vec()),
        Just(vec![b'a'; 70_000]),
    ];
    (prop::sample::select(names).prop_map(str::to_owned), pieces)
}

fn routes() -> impl Strategy<Value = Routes> {
    prop_oneof![
        3 => Just(shop_routes()),
        1 => Just(Routes::Missing),
        1 => vec(any::<u8>(), 0..200).prop_map(Routes::Named),
        1 => "(serin/|/|shop\\.prod|primary|canary|\u{fe}){0,8}"
            .prop_map(|name| Routes::Named(name.into_bytes())),
    ]
}

const PROPERTIES: [&str; 7] = [
    "response\0code",
    "response\0flags",
    "upstream\0address",
    "upstream\0request_attempt_count",
    "xds\0cluster_name",
    "xds\0route_name",
    "serin.claim",
];

fn exchange() -> impl Strategy<Value = Exchange> {
    let property = (prop::sample::select(&PROPERTIES[..]), vec(any::<u8>(), 0..20));
    (vec(header(), 0..8), routes(), vec(property, 0..4)).prop_map(
        |(headers, routes, properties)| {
            let mut exchange = Exchange::get(routes);
            exchange.request.extend(headers);
            exchange.request.reverse();
            for (path, value) in properties {
                exchange.properties.insert(path.as_bytes().to_vec(), value);
            }
            exchange
        },
    )
}

fn answer() -> impl Strategy<Value = Answer> {
    let head = prop::option::of(vec(header(), 0..3));
    (any::<Option<u64>>(), any::<u64>(), head, vec(header(), 0..3), any::<bool>()).prop_map(
        |(code, flags, headers, trailers, is_whole)| Answer {
            code,
            flags,
            headers,
            trailers,
            is_whole,
            ..Answer::of(200)
        },
    )
}

/// A table's bytes with some of them changed, cut out or doubled.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let damage = (any::<prop::sample::Index>(), any::<u8>(), 0..4_u8);
    vec(damage, 1..8).prop_map(|damages| {
        let mut bytes = configuration(&curious());
        for (place, byte, kind) in damages {
            let place = place.index(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
            match kind {
                0 => bytes[place] = byte,
                1 => bytes.truncate(place.max(1)),
                2 => bytes.insert(place, byte),
                _ => {
                    bytes.remove(place);
                    bytes.push(b' ');
                }
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_request_and_any_answer_pass(exchanges in vec((exchange(), answer()), 1..6)) {
        let mut thread = Thread::with(&curious());
        for (exchange, answer) in &exchanges {
            thread.exchange(exchange, answer);
        }
        thread.settle();
        let fine = thread.exchange(&shop().with("cookie", "c=canary=a"), &Answer::of(200));
        prop_assert_eq!(fine.as_deref(), Some(NONCE.as_bytes()));
    }

    #[test]
    fn any_configuration_is_accepted_and_a_bad_one_changes_nothing(
        bytes in prop_oneof![damaged(), vec(any::<u8>(), 0..200)],
    ) {
        let mut thread = Thread::with(&table(vec![rollout(100)]));
        let refusals = |thread: &Thread| {
            thread.vm.world().metric("wasm_filter.serin.serin_config_rejected_total").unwrap_or(0)
        };
        thread.configure(&bytes);
        let refused = refusals(&thread) == 1;
        let steered = thread.exchange(&shop(), &Answer::of(200));
        if refused {
            prop_assert_eq!(steered.as_deref(), Some(NONCE.as_bytes()));
        }
        thread.vm.tick(thread.root);
        thread.lose();
        thread.load(&table(vec![Rollout { generation: 2, ..rollout(100) }]));
        let steered = thread.exchange(&shop(), &Answer::of(200));
        prop_assert_eq!(steered.as_deref(), Some(NONCE.as_bytes()));
    }

    #[test]
    fn any_bytes_may_be_the_proxys_own(
        id in vec(any::<u8>(), 0..40),
        namespace in vec(any::<u8>(), 0..40),
        labels in prop_oneof![vec(any::<u8>(), 0..64), hostile_map()],
    ) {
        let mut vm = host().start(1);
        let node = &mut vm.world_mut().node;
        node.insert(b"xds\0node\0id".to_vec(), id);
        node.insert(b"xds\0node\0metadata\0NAMESPACE".to_vec(), namespace);
        node.insert(b"xds\0node\0metadata\0LABELS".to_vec(), labels);
        let root = vm.configure("p", &configuration(&curious()));
        vm.tick(root);
        prop_assert_eq!(vm.world().calls.len(), 1);
        let report = Report::parse(&vm.world().calls[0].body);
        prop_assert!(report.is_ok(), "{:?}", report);
    }

    // One for each call that was made: the SDK panics at another, and Envoy drops it (`e2e`, reports).
    #[test]
    fn any_answer_to_a_report_is_taken(
        statuses in vec(prop::option::of(vec(any::<u8>(), 0..8)), 1..10),
    ) {
        let mut thread = Thread::with(&table(vec![rollout(100)]));
        for status in &statuses {
            thread.exchange(&shop(), &Answer::of(200));
            thread.vm.tick(thread.root);
            for call in std::mem::take(&mut thread.vm.world_mut().calls) {
                thread.receiver.take(&call);
                thread.vm.answer(&call, status.as_deref());
            }
        }
        thread.settle();
        let cell = thread.cell(serin_route::Track::Canary);
        prop_assert_eq!(cell.requests, statuses.len() as u64);
    }
}

/// A map in the ABI's layout whose sizes lie.
fn hostile_map() -> impl Strategy<Value = Vec<u8>> {
    let size = prop_oneof![0..9_u32, Just(u32::MAX), Just(u32::MAX / 8), any::<u32>()];
    (vec(size, 1..9), vec(any::<u8>(), 0..40)).prop_map(|(sizes, texts)| {
        sizes.into_iter().flat_map(u32::to_le_bytes).chain(texts).collect()
    })
}

#[test]
fn a_very_large_table_is_refused_and_does_no_harm() {
    let many = (0..20_000).map(|n| Rollout { name: format!("shop-{n}"), ..rollout(1) });
    let bytes = configuration(&table(many.collect()));
    let mut thread = Thread::with(&table(vec![rollout(100)]));
    thread.configure(&bytes);
    assert!(thread.exchange(&shop(), &Answer::of(200)).is_some());
    assert!(thread.vm.memory_bytes() < 256 << 20);
}

#[test]
fn a_deep_table_is_refused() {
    let mut thread = Thread::with(&table(vec![rollout(100)]));
    for bytes in ["[".repeat(100_000), "{\"a\":".repeat(100_000)] {
        thread.configure(bytes.as_bytes());
        assert!(thread.exchange(&shop(), &Answer::of(200)).is_some());
    }
}
