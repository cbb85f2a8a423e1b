use std::sync::Arc;

use futures_util::{FutureExt as _, StreamExt as _};
use serin_api::Group;
use serin_receiver::{Arrival, Desk as _, Peer};
use serin_rollout::{Run, Status};
use serin_route::{RolloutReport, Side};
use tokio::sync::watch;
use tokio::time::Instant;

use super::*;
use crate::fixture::rollout;

const RUN: &str = "r1";

fn key() -> Key {
    Key { group: Group::Serin, namespace: "prod".into(), name: "release".into() }
}

fn namespace() -> Scope {
    Scope::Namespace("prod".into())
}

fn gateway() -> Scope {
    Scope::Gateway([("istio".to_owned(), "ingress".to_owned())].into())
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn followed(run: &str, scopes: &[Scope]) -> Followed {
    let scopes = scopes.iter().cloned().collect();
    Followed { canary: key(), name: "store".into(), run: run.into(), scopes }
}

/// One rollout in two scopes, whose filters were told of it at the first second.
fn feed() -> Feed {
    let module = "oci://registry.example/serin".into();
    let feed = Feed::new(Hints { module, service: "ears.serin".into(), period_ms: 1000 });
    let passes = [("n".to_owned(), namespace()), ("g".to_owned(), gateway())];
    feed.declare(vec![followed(RUN, &[namespace(), gateway()])], passes.into());
    tell(&feed, 1, 0);
    feed
}

fn tell(feed: &Feed, generation: u64, at: i64) {
    let table = [serin_route::Rollout { generation, ..rollout("store", 10) }];
    for scope in [namespace(), gateway()] {
        feed.told(&scope.name(), &table, second(at));
    }
}

fn report(scope: &Scope, sequence: u64, generation: u64) -> Report {
    let part = RolloutReport {
        name: "store".into(),
        namespace: "prod".into(),
        run: RUN.into(),
        generation,
        generations: Vec::new(),
    };
    Report {
        version: 1,
        scope: scope.name(),
        side: Side::Client,
        proxy: format!("proxy-of-{}", scope.name()),
        namespace: "prod".into(),
        boot: "0123456789abcdef".into(),
        sequence,
        problem: None,
        rollouts: vec![part],
    }
}

fn hear(feed: &Feed, scope: &Scope, generation: u64, at: i64) {
    let sequence = u64::try_from(at).unwrap() + 1;
    feed.enter(scope, &report(scope, sequence, generation), second(at));
}

fn status(generation: u64) -> Status {
    let run = Run { id: RUN.into(), generation, ..Run::default() };
    Status { run: Some(run), ..Status::default() }
}

fn heard(feed: &Feed, generation: u64, at: i64) -> Acknowledged {
    feed.heard(&key(), &status(generation), second(at)).acknowledged
}

#[test]
fn two_periods_after_all_scopes_were_told_and_all_heard_show_it() {
    let feed = feed();
    hear(&feed, &namespace(), 1, 1);
    hear(&feed, &gateway(), 1, 1);
    assert_eq!(heard(&feed, 1, 1), Acknowledged::No, "too soon");
    assert_eq!(heard(&feed, 1, 2), Acknowledged::Yes);
    assert_eq!(heard(&feed, 2, 2), Acknowledged::No, "no filter was told of that");
    tell(&feed, 2, 3);
    hear(&feed, &namespace(), 2, 4);
    assert_eq!(heard(&feed, 2, 6), Acknowledged::No, "the gateway lags behind");
    hear(&feed, &gateway(), 2, 5);
    assert_eq!(heard(&feed, 2, 6), Acknowledged::Yes);
}

#[test]
fn nobody_heard_is_no_acknowledgement_and_overdue_at_last() {
    let feed = feed();
    assert_eq!(heard(&feed, 1, 29), Acknowledged::No);
    assert_eq!(heard(&feed, 1, 30), Acknowledged::Overdue);
    // What is told again without a change is no news.
    tell(&feed, 1, 20);
    assert_eq!(heard(&feed, 1, 30), Acknowledged::Overdue);
    tell(&feed, 2, 20);
    assert_eq!(heard(&feed, 2, 30), Acknowledged::No);
}

#[test]
fn a_scope_that_could_not_be_told_is_waited_for() {
    let feed = feed();
    feed.told(&gateway().name(), &[], second(1));
    hear(&feed, &namespace(), 1, 60);
    assert_eq!(heard(&feed, 1, 61), Acknowledged::No);
}

#[test]
fn without_a_run_there_is_nothing_to_show() {
    let feed = feed();
    let none = feed.heard(&key(), &Status::default(), second(0));
    assert_eq!(none.acknowledged, Acknowledged::Yes);
    feed.declare(vec![followed(RUN, &[])], HashMap::new());
    assert_eq!(heard(&feed, 1, 0), Acknowledged::Yes, "nobody is steered");
}

#[test]
fn a_run_keeps_its_book_and_another_one_has_its_own() {
    let feed = feed();
    hear(&feed, &namespace(), 1, 1);
    hear(&feed, &gateway(), 1, 1);
    let both = [namespace(), gateway()];
    feed.declare(vec![followed(RUN, &both)], HashMap::new());
    assert_eq!(heard(&feed, 1, 2), Acknowledged::Yes);
    feed.declare(vec![followed("r2", &both)], HashMap::new());
    assert_eq!(heard(&feed, 1, 2), Acknowledged::No, "the status is of a run that is no more");
    feed.declare(vec![followed(RUN, &both)], HashMap::new());
    assert_eq!(feed.heard(&key(), &status(1), second(2)).traffic.heard, 0);
}

#[test]
fn a_silent_scope_is_told_with_what_may_hide_it() {
    let feed = feed();
    hear(&feed, &namespace(), 1, 1);
    let lines = |at| feed.heard(&key(), &status(1), second(at)).lines;
    assert!(lines(29).is_empty());
    let told = lines(30);
    assert_eq!(told.len(), 1);
    let line = told.first().unwrap();
    for part in [&*gateway().name(), "ears.serin", "oci://registry.example/serin", "Sidecar"] {
        assert!(line.contains(part), "{line}");
    }
    assert_eq!(lines(40), told, "the same words, or it would be told again");
    hear(&feed, &gateway(), 1, 41);
    assert!(lines(42).is_empty());
}

#[test]
fn a_refused_table_is_told() {
    let feed = feed();
    let problem = Some("weight: too much".to_owned());
    feed.enter(&gateway(), &Report { problem, ..report(&gateway(), 1, 0) }, second(1));
    let lines = feed.heard(&key(), &status(1), second(1)).lines;
    assert!(lines.first().unwrap().ends_with("refuses its table: weight: too much"), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_reports_wakes_once_and_then_at_a_pace() {
    let (feed, wake) = (feed(), Wake::default());
    let mut woken = Box::pin(wake.stream(Group::Serin));
    for at in 0..20 {
        hear(&feed, &namespace(), 1, at);
    }
    let begun = Instant::now();
    let follow = feed.follow(&wake);
    let count = async {
        assert_eq!(woken.next().await, Some(key()));
        assert!(woken.next().now_or_never().is_none(), "once for all");
        hear(&feed, &gateway(), 1, 21);
        assert_eq!(woken.next().await, Some(key()));
    };
    tokio::select! { () = follow => {}, () = count => {} }
    assert!(begun.elapsed() >= PACE);
    // What changes nothing wakes nobody.
    hear(&feed, &gateway(), 1, 21);
    assert!(feed.state().concerned.is_empty());
}

#[test]
fn a_trouble_wakes_whom_it_is_about_when_it_comes_and_when_it_goes() {
    let feed = feed();
    let line = BTreeSet::from(["it is so".to_owned()]);
    let take = || std::mem::take(&mut feed.state().concerned).len();
    for (troubles, woken) in [
        (BTreeMap::from([(key(), line.clone())]), 1),
        (BTreeMap::from([(key(), line.clone())]), 0),
        (BTreeMap::new(), 1),
    ] {
        feed.trouble(troubles);
        assert_eq!(take(), woken);
    }
}

fn gate(feed: Option<Feed>) -> (watch::Sender<Option<Arc<Feed>>>, Gate) {
    let (sender, receiver) = watch::channel(feed.map(Arc::new));
    (sender, Gate::new(receiver, Arc::default()))
}

fn offer(gate: &Gate, token: &str, report: Report, peer: Option<&str>) -> Result<(), String> {
    let said = |denial: Denial| format!("{denial:?}");
    let pass = gate.admit(Some(token)).map_err(said)?;
    let peer = peer.map(|it| Peer { namespace: it.into(), account: "default".into() });
    gate.take(pass, Arrival { at: Instant::now(), peer, report }).map_err(said)
}

#[test]
fn a_token_speaks_for_its_scope_and_a_peer_for_its_namespace() {
    let (_sender, gate) = gate(Some(feed()));
    let of = |scope: &Scope| report(scope, 1, 1);
    let other = |scope: &Scope| Report { namespace: "bank".into(), ..of(scope) };
    for (token, report, peer, status) in [
        ("n", of(&namespace()), None, None),
        ("n", of(&namespace()), Some("prod"), None),
        ("g", other(&gateway()), Some("bank"), None),
        ("x", of(&namespace()), None, Some("401")),
        ("", of(&namespace()), None, Some("401")),
        ("n", of(&gateway()), None, Some("403")),
        ("n", other(&namespace()), None, Some("403")),
        ("n", of(&namespace()), Some("bank"), Some("403")),
        ("g", of(&gateway()), Some("bank"), Some("403")),
    ] {
        let outcome = offer(&gate, token, report, peer);
        let refused = outcome.as_ref().err().map(String::as_str);
        let as_expected = match (refused, status) {
            (None, None) => true,
            (Some(why), Some(status)) => why.contains(status),
            _ => false,
        };
        assert!(as_expected, "{token:?} {peer:?}: {outcome:?}");
    }
}

#[test]
fn who_does_not_lead_or_does_not_know_yet_takes_nothing() {
    let (sender, gate) = gate(None);
    let offered = |gate: &Gate| offer(gate, "n", report(&namespace(), 1, 1), None);
    assert!(offered(&gate).unwrap_err().contains("503"));
    let hints = Hints { module: String::new(), service: String::new(), period_ms: 1000 };
    sender.send_replace(Some(Arc::new(Feed::new(hints))));
    assert!(offered(&gate).unwrap_err().contains("503"));
    sender.send_replace(Some(Arc::new(feed())));
    assert_eq!(offered(&gate), Ok(()));
}

#[test]
fn who_reports_is_counted_by_proxy_and_who_falls_silent_is_told_of() {
    let feed = feed();
    let boot = |boot: &str, sequence, at| {
        let report = Report { boot: boot.into(), ..report(&namespace(), sequence, 1) };
        feed.enter(&namespace(), &report, second(at));
    };
    boot("1", 1, 0);
    boot("2", 1, 0);
    let both = |namespace, gateway| {
        BTreeMap::from([(self::namespace().name(), namespace), (self::gateway().name(), gateway)])
    };
    assert_eq!(feed.reporting(second(1)), both(1, 0), "two threads are one proxy");
    assert!(feed.expects() && feed.missing(second(1)).is_empty());
    boot("1", 2, 25);
    assert_eq!(feed.missing(second(25)), [namespace().name()].into());
    let heard = feed.heard(&key(), &status(1), second(25));
    assert_eq!(heard.reporting, both(1, 0));
    let told = heard.lines.iter().any(|it| it.contains("of proxy-of-namespace/prod reports no"));
    assert!(told, "{:?}", heard.lines);
    feed.declare(Vec::new(), HashMap::new());
    assert!(!feed.expects() && feed.missing(second(25)).is_empty());
}
