//! Where requests go, and what they and their answers carry.

use serin_route::{
    Assignment, Condition, Direct, KeySource, Rollout, Rule, Side, Subject, Test, Then, Track,
    Weight,
};
use serin_tests::host::{Answer, Exchange, Routes};

use crate::fixture::{
    NONCE, TRACK, Thread, affinity, configuration, host, rollout, shop, shop_routes, table,
};

fn on(name: &str) -> Exchange {
    Exchange::get(Routes::Named(name.into()))
}

#[test]
fn canary_carries_the_nonce_and_primary_carries_nothing() {
    let mut thread = Thread::with(&table(vec![rollout(100)]));
    assert_eq!(thread.exchange(&shop(), &Answer::of(200)).as_deref(), Some(NONCE.as_bytes()));
    let mut thread = Thread::with(&table(vec![rollout(0)]));
    assert_eq!(thread.exchange(&shop(), &Answer::of(200)), None);
}

#[test]
fn ten_thousand_requests_fall_as_the_weight_says() {
    let mut rollout = rollout(0);
    rollout.weight = Weight::from_basis_points(1_000).unwrap();
    let mut thread = Thread::seeded(7, &table(vec![rollout]));
    let canary =
        (0..10_000).filter(|_| thread.exchange(&shop(), &Answer::of(200)).is_some()).count();
    // 4 sigma of a binomial with n = 10 000 and p = 0.1.
    assert!(canary.abs_diff(1_000) <= 120, "{canary}");
}

#[test]
fn a_request_already_on_the_canarys_route_is_decided_anew() {
    let forged = shop().with(TRACK, NONCE);
    let mut thread = Thread::with(&table(vec![rollout(0)]));
    assert_eq!(thread.exchange(&forged, &Answer::of(200)), None, "the header is gone");
    let mut thread = Thread::with(&table(vec![rollout(100)]));
    thread.vm.world_mut().listen();
    assert_eq!(thread.exchange(&forged, &Answer::of(200)).as_deref(), Some(NONCE.as_bytes()));
    let wrote = |name: &str| name == "replace_header_map_value";
    assert!(!thread.vm.world_mut().heard().iter().any(|call| wrote(call.name)));
    thread.settle();
    assert_eq!(thread.cell(Track::Canary).requests, 1);
}

#[test]
fn routes_are_found_by_their_name_alone() {
    for (name, steered) in [
        ("serin/shop.prod/primary", true),
        ("serin/shop.prod/primary.some-match", true),
        ("root-route-serin/shop.prod/primary.match-0", true),
        ("serin/shop.prod/unscoped", false),
        ("serin/shop.prod/failover", false),
        ("serin/shop.prod/", false),
        ("serin/shop.prod", false),
        ("serin/shop.staging/primary", false),
        ("default", false),
        ("", false),
    ] {
        let mut thread = Thread::with(&table(vec![rollout(100)]));
        let passed = thread.exchange(&on(name), &Answer::of(200));
        assert_eq!(passed.is_some(), steered, "{name:?}");
    }
}

#[test]
fn a_request_without_a_route_passes() {
    let mut thread = Thread::with(&table(vec![rollout(100)]));
    let lost = Exchange::get(Routes::Missing);
    assert_eq!(thread.exchange(&lost, &Answer::of(404)), None);
    thread.settle();
    assert_eq!(thread.generation(1).cells, []);
}

#[test]
fn two_rollouts_of_one_table_do_not_mix() {
    let other = Rollout { name: "cart.v2".into(), run: "run-2".into(), ..rollout(100) };
    let other = Rollout { nonce: "nonce-2".into(), ..other };
    let mut thread = Thread::with(&table(vec![rollout(0), other]));
    let cart = Routes::Rollout { place: "cart.v2.prod".into(), nonce: "nonce-2".into() };
    assert_eq!(thread.exchange(&shop(), &Answer::of(200)), None);
    let steered = thread.exchange(&Exchange::get(cart), &Answer::of(500));
    assert_eq!(steered.as_deref(), Some(&b"nonce-2"[..]));
    thread.settle();
    assert_eq!(thread.cell(Track::Primary).failures, 0);
    let cart = &thread.receiver.generations[&("run-2".to_owned(), 1)].cells;
    assert_eq!((cart.len(), cart[0].track, cart[0].failures), (1, Track::Canary, 1));
}

#[test]
fn a_rule_decides_before_the_weight() {
    let mut rollout = rollout(1);
    let when = vec![Condition { of: Subject::Header("x-beta".into()), is: Test::Present }];
    rollout.rules = vec![Rule { when, then: Then::Canary }];
    let mut thread = Thread::with(&table(vec![rollout]));
    for _ in 0..20 {
        let steered = thread.exchange(&shop().with("x-beta", ""), &Answer::of(200));
        assert!(steered.is_some());
    }
    thread.settle();
    assert_eq!(thread.cell(Track::Canary).assignment, Assignment::Rule);
}

#[test]
fn a_condition_on_labels_asks_the_callers_pod() {
    let mut rollout = rollout(1);
    let of = Subject::Label("app".into());
    let when = vec![Condition { of, is: Test::Exact("web".into()) }];
    rollout.rules = vec![Rule { when, then: Then::Canary }];
    let configuration = configuration(&table(vec![rollout]));
    // Two labels, `app: web` and `x: `, in the ABI's layout.
    let mut labels = Vec::new();
    for integer in [2_u32, 3, 3, 1, 0] {
        labels.extend(integer.to_le_bytes());
    }
    labels.extend(b"app\0web\0x\0\0");
    for (given, ruled) in [(Some(labels), true), (None, false)] {
        let mut vm = host().start(1);
        if let Some(labels) = given {
            vm.world_mut().node.insert(b"xds\0node\0metadata\0LABELS".to_vec(), labels);
        }
        let root = vm.configure("p", &configuration);
        let steered = (0..50)
            .filter(|_| vm.exchange(root, &shop(), &Answer::of(200)).request(TRACK).is_some())
            .count();
        assert_eq!(steered == 50, ruled, "{steered}");
    }
}

#[test]
fn a_user_stays_while_the_weight_grows() {
    let users: Vec<String> = (0..200).map(|n| format!("user-{n}")).collect();
    let mut before = vec![false; users.len()];
    let mut thread = Thread::with(&table(vec![rollout(0)]));
    for (generation, percent) in (2..).zip([1, 5, 10, 25, 50, 75, 100]) {
        let mut rollout = Rollout { generation, ..rollout(percent) };
        rollout.keys = vec![KeySource::Header("x-user".into())];
        thread.load(&table(vec![rollout]));
        let after: Vec<bool> = users
            .iter()
            .map(|user| thread.exchange(&shop().with("x-user", user), &Answer::of(200)).is_some())
            .collect();
        assert!(before.iter().zip(&after).all(|(before, after)| after >= before), "{percent} %");
        before = after;
    }
    assert!(before.iter().all(|canary| *canary));
}

#[test]
fn a_minted_cookie_keeps_its_holder_where_he_was() {
    let mut rollout = rollout(50);
    rollout.affinity = Some(affinity());
    let mut thread = Thread::with(&table(vec![rollout]));
    for _ in 0..50 {
        let first = thread.vm.exchange(thread.root, &shop(), &Answer::of(200));
        let cookie = String::from_utf8(first.response("set-cookie").unwrap().to_vec()).unwrap();
        let (pair, attributes) = cookie.split_once("; ").unwrap();
        assert_eq!(attributes, "Max-Age=86400; Path=/; HttpOnly; SameSite=Lax");
        let back = shop().with("cookie", format!("other=1; {pair}"));
        let second = thread.vm.exchange(thread.root, &back, &Answer::of(200));
        assert_eq!(second.response("set-cookie"), None);
        assert_eq!(second.request(TRACK), first.request(TRACK));
    }
    thread.settle();
    let cells = thread.generation(1).cells;
    let of = |assignment| -> u64 {
        cells.iter().filter(|it| it.assignment == assignment).map(|it| it.requests).sum()
    };
    assert_eq!((of(Assignment::Weight), of(Assignment::Sticky)), (50, 50));
}

#[test]
fn a_cookie_is_secure_where_the_client_came_by_https() {
    let mut rollout = rollout(50);
    rollout.affinity = Some(affinity());
    let mut thread = Thread::with(&table(vec![rollout]));
    for (proto, secure) in [(None, false), (Some("http"), false), (Some("https"), true)] {
        let mut exchange = shop();
        if let Some(proto) = proto {
            exchange = exchange.with("x-forwarded-proto", proto);
        }
        let passed = thread.vm.exchange(thread.root, &exchange, &Answer::of(503));
        let cookie = String::from_utf8_lossy(passed.response("set-cookie").unwrap()).into_owned();
        assert_eq!(cookie.contains("; Secure"), secure, "{proto:?}");
    }
}

#[test]
fn requests_addressed_to_one_track_are_counted_apart() {
    let mut rollout = rollout(50);
    rollout.direct = Some(Direct {
        primary: vec!["outbound|80||shop-primary".into()],
        canary: vec!["outbound|80||shop-canary".into(), "outbound|81||shop-canary".into()],
    });
    let mut thread = Thread::with(&table(vec![rollout]));
    for cluster in ["outbound|80||shop-canary", "outbound|81||shop-canary", "outbound|80||other"] {
        let mut exchange = on("default");
        exchange.cluster = cluster.into();
        assert_eq!(thread.exchange(&exchange, &Answer::of(500)), None, "it is not steered");
    }
    thread.settle();
    let cell = thread.cell(Track::Canary);
    assert_eq!((cell.assignment, cell.requests, cell.failures), (Assignment::Direct, 2, 2));
}

#[test]
fn the_canarys_own_pods_count_everything_as_direct() {
    let mut table = table(vec![rollout(50)]);
    table.side = Side::Server;
    table.claim = true;
    let mut thread = Thread::with(&table);
    for name in ["default", "inbound|8080||"] {
        assert_eq!(thread.exchange(&on(name), &Answer::of(200)), None);
    }
    thread.settle();
    let cell = thread.cell(Track::Canary);
    assert_eq!((cell.assignment, cell.requests), (Assignment::Direct, 2));
}

#[test]
fn of_two_scopes_in_one_envoy_the_first_takes_the_request() {
    let first = table(vec![rollout(100)]);
    let mut second = table(vec![rollout(0)]);
    let mut first = serin_route::Table { claim: true, ..first };
    second.claim = true;
    second.scope = "mesh".into();
    first.scope = "prod".into();
    let mut vm = host().start(1);
    let near = vm.configure("near", &configuration(&first));
    let far = vm.configure("far", &configuration(&second));

    // Envoy runs both filters on one stream: what the first left is what the second sees.
    let id = vm.begin(near, &shop());
    let left = vm.passed(id);
    assert_eq!(left.request(TRACK), Some(NONCE.as_bytes()));
    let mut behind = shop();
    behind.routes = shop_routes();
    behind.properties.insert(b"serin.claim".to_vec(), b"1".to_vec());
    vm.world_mut().listen();
    let other = vm.begin(far, &behind);
    let heard = vm.world_mut().heard();
    assert_eq!(heard.len(), 2, "it looks at the route and at the claim: {heard:?}");
    assert_eq!(vm.passed(other).request(TRACK), None);
}
