//! What a request costs in calls to the host. Deterministic, where a timing in CI is not.

use serin_route::{
    Affinity, Assignment, Condition, Direct, KeySource, Rollout, RoutePattern, Secure, Subject,
    Table, Test, Track,
};
use serin_tests::host::{Answer, Exchange, Hostcall, Routes};

use crate::fixture::{Thread, affinity, rollout, shop, table};

/// The calls of one request: while it enters, while its answer passes, when it is logged.
struct Cost {
    request: Vec<Hostcall>,
    response: Vec<Hostcall>,
    log: Vec<Hostcall>,
}

fn cost(table: &Table, exchange: &Exchange, answer: &Answer) -> Cost {
    let mut thread = Thread::with(table);
    let vm = &mut thread.vm;
    // The first request may find memory to grow and the like; it is the second that is counted.
    vm.exchange(thread.root, exchange, answer);
    vm.world_mut().listen();
    let id = vm.begin(thread.root, exchange);
    let request = vm.world_mut().heard();
    vm.respond(id, answer);
    let response = vm.world_mut().heard();
    vm.log(id, answer);
    let log = vm.world_mut().heard();
    vm.delete(id);
    assert_eq!(vm.world_mut().heard(), [], "the end costs nothing");
    Cost { request, response, log }
}

/// Calls that hand something back, which re-enter the module and cost about a microsecond each.
fn returning(hostcalls: &[Hostcall]) -> Vec<String> {
    let told = hostcalls.iter().filter(|call| call.returned);
    told.map(|call| format!("{} {}", call.name, call.about).trim().to_owned()).collect()
}

fn writes(hostcalls: &[Hostcall]) -> Vec<&str> {
    let writes = |call: &&Hostcall| !call.name.starts_with("get_");
    hostcalls.iter().filter(writes).map(|call| call.name).collect()
}

fn with(change: impl FnOnce(&mut Rollout)) -> Table {
    let mut rollout = rollout(100);
    change(&mut rollout);
    table(vec![rollout])
}

const ROUTE: &str = "get_property xds.route_name";
const TIME: &str = "get_current_time_nanoseconds";

#[test]
fn an_empty_table_costs_nothing() {
    let cost = cost(&table(Vec::new()), &shop(), &Answer::of(200));
    assert_eq!(cost.request, []);
    assert_eq!(cost.response, []);
    assert_eq!(cost.log, []);
}

#[test]
fn a_request_on_no_route_of_ours_costs_one_call() {
    for routes in [Routes::Named(b"default".to_vec()), Routes::Named(b"serin/x.y/primary".to_vec())]
    {
        let cost = cost(&table(vec![rollout(50)]), &Exchange::get(routes), &Answer::of(200));
        assert_eq!(returning(&cost.request), [ROUTE]);
        assert_eq!((cost.request.len(), cost.response.len(), cost.log.len()), (1, 0, 0));
    }
}

#[test]
fn where_direct_is_counted_it_costs_two() {
    let direct = Direct { primary: vec!["p".into()], canary: vec!["c".into()] };
    let table = with(|it| it.direct = Some(direct));
    let elsewhere = Exchange::get(Routes::Named(b"default".to_vec()));
    let cost = cost(&table, &elsewhere, &Answer::of(200));
    assert_eq!(returning(&cost.request), [ROUTE, "get_property xds.cluster_name"]);
    assert_eq!((cost.request.len(), cost.response.len(), cost.log.len()), (2, 0, 0));
}

#[test]
fn steered_by_weight_costs_two_calls_and_one_write() {
    let canary = cost(&table(vec![rollout(100)]), &shop(), &Answer::of(200));
    assert_eq!(returning(&canary.request), [ROUTE, TIME]);
    assert_eq!(writes(&canary.request), ["replace_header_map_value"]);
    assert_eq!(canary.request.len(), 3);

    let primary = cost(&table(vec![rollout(0)]), &shop(), &Answer::of(200));
    assert_eq!(returning(&primary.request), [ROUTE, TIME]);
    assert_eq!(primary.request.len(), 2, "primary is where it goes by itself: no write");
}

#[test]
fn an_answer_costs_one_look_that_finds_nothing() {
    let mut answer = Answer::of(200);
    let cost_of = |answer: &Answer| cost(&table(vec![rollout(100)]), &shop(), answer).response;
    let passing = cost_of(&answer);
    assert_eq!(returning(&passing), [""; 0]);
    assert_eq!((passing.len(), &*passing[0].about), (1, "upgrade"));
    answer.is_whole = true;
    assert_eq!(cost_of(&answer), [], "an answer without a body upgrades nothing");
}

#[test]
fn a_key_costs_one_more() {
    let table = with(|it| it.keys = vec![KeySource::Header("x-user".into())]);
    let cost = cost(&table, &shop().with("x-user", "alice"), &Answer::of(200));
    assert_eq!(returning(&cost.request), [ROUTE, "get_header_map_value x-user", TIME]);
    assert_eq!(cost.request.len(), 4, "{:?}", cost.request);
}

#[test]
fn an_affinity_cookie_costs_one_more_and_minting_one_an_answer() {
    let affinity = Affinity { secure: Secure::Always, ..affinity() };
    let table = with(|it| it.affinity = Some(affinity));
    let known = shop().with("cookie", format!("shop={}", "0".repeat(32)));
    let kept = cost(&table, &known, &Answer::of(200));
    assert_eq!(returning(&kept.request), [ROUTE, "get_header_map_value cookie", TIME]);
    assert_eq!((kept.request.len(), writes(&kept.response)), (4, vec![]));

    let minted = cost(&table, &shop(), &Answer::of(200));
    assert_eq!(returning(&minted.request), [ROUTE, TIME]);
    assert_eq!(writes(&minted.response), ["add_header_map_value"]);
}

#[test]
fn named_routes_cost_one_more() {
    let when = |path: &str| vec![Condition { of: Subject::Path, is: Test::Prefix(path.into()) }];
    let routes = ["/a", "/b", "/c"];
    let routes = routes.map(|path| RoutePattern { name: path.into(), when: when(path) });
    let table = with(|it| it.routes = routes.to_vec());
    let cost = cost(&table, &shop(), &Answer::of(200));
    assert_eq!(returning(&cost.request), [ROUTE, "get_header_map_value :path", TIME]);
    assert_eq!(cost.request.len(), 4, "fetched once for three patterns: {:?}", cost.request);
}

#[test]
fn a_log_costs_at_most_five_calls() {
    let plain = cost(&table(vec![rollout(100)]), &shop(), &Answer::of(200));
    let common = ["get_property response.code", "get_property response.flags", ROUTE, TIME];
    assert_eq!(returning(&plain.log), common);
    assert!(plain.log.len() <= 5);
}

#[test]
fn a_log_costs_one_more_for_each_question() {
    let cost_of = |change: fn(&mut Rollout), answer: &Answer| {
        returning(&cost(&with(change), &shop(), answer).log).len()
    };
    let nothing: fn(&mut Rollout) = |_| {};
    let fine = cost_of(nothing, &Answer::of(200));
    assert_eq!(cost_of(nothing, &Answer::of(500)), fine + 1, "a failure's address");
    assert_eq!(cost_of(|it| it.retries = true, &Answer::of(200)), fine + 1, "attempts");
    let mut trailers = Answer::of(200);
    trailers.trailers.push(("grpc-status".into(), b"0".to_vec()));
    assert_eq!(cost_of(|it| it.grpc = true, &trailers), fine + 1, "a status in trailers");
    let mut headers = Answer::of(200);
    headers.headers = Some(vec![("grpc-status".into(), b"14".to_vec())]);
    assert_eq!(cost_of(|it| it.grpc = true, &headers), fine + 2, "a failure's status in headers");
}

#[test]
fn claiming_costs_one_look_and_one_write() {
    let mut table = table(vec![rollout(0)]);
    table.claim = true;
    let cost = cost(&table, &shop(), &Answer::of(200));
    assert_eq!(returning(&cost.request), [ROUTE, TIME]);
    assert_eq!(writes(&cost.request), ["set_property"]);
    assert_eq!(cost.request.len(), 4);
}

#[test]
fn a_quiet_request_costs_no_statistic() {
    let mut thread = Thread::with(&table(vec![rollout(100)]));
    thread.vm.world_mut().listen();
    for _ in 0..100 {
        thread.exchange(&shop(), &Answer::of(200));
    }
    let heard = thread.vm.world_mut().heard();
    assert!(!heard.iter().any(|call| call.name.contains("metric")));
    thread.settle();
    let cell = thread.cell(Track::Canary);
    assert_eq!((cell.requests, cell.assignment), (100, Assignment::Weight));
}
