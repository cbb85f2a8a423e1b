//! Reports in, sums out.

use std::time::Duration;

use proptest::prelude::*;
use serin_route::{
    Cell, GenerationReport, KeyHash, Keyed, Latency, Report, RolloutReport, Track, Upstream,
};

use super::sum::UPSTREAMS_MAX;
use super::*;
use crate::clock::since;
use crate::fixture::{at, cell};

fn generation(generation: u64, cells: Vec<Cell>) -> GenerationReport {
    let edges_ms = vec![10, 100];
    GenerationReport { generation, edges_ms, mismatched: 1, cells, keyed: vec![] }
}

fn report(proxy: &str, sequence: u64, shows: u64, generations: Vec<GenerationReport>) -> Report {
    Report {
        version: 1,
        scope: "shop".into(),
        side: Side::Client,
        proxy: proxy.into(),
        namespace: "shop".into(),
        boot: "00000000000000aa".into(),
        sequence,
        problem: None,
        rollouts: vec![RolloutReport {
            name: "app".into(),
            namespace: "shop".into(),
            run: "r1".into(),
            generation: shows,
            generations,
        }],
    }
}

fn book() -> Book {
    Book::new("app", "shop", "r1")
}

fn requests(book: &Book) -> Vec<(u64, u64)> {
    let sum = |cells: &[Cell]| cells.iter().map(|cell| cell.requests).sum();
    let traffic = book.traffic(at(0));
    traffic.generations.iter().map(|it| (it.generation, sum(&it.cells))).collect()
}

#[test]
fn the_newest_report_of_a_vm_replaces_its_former_ones() {
    let mut book = book();
    let first = report("a", 1, 1, vec![generation(1, vec![cell(Track::Primary, 5, 1)])]);
    let second = report("a", 2, 1, vec![generation(1, vec![cell(Track::Primary, 9, 2)])]);
    assert_eq!(book.enter(&first, at(0)), Ok(()));
    assert_eq!(book.enter(&second, at(1)), Ok(()));
    assert_eq!(book.enter(&second, at(2)), Err(Refused::Old));
    assert_eq!(book.enter(&first, at(3)), Err(Refused::Old));
    assert_eq!(requests(&book), [(1, 9)]);
    assert_eq!(book.traffic(at(0)).generations[0].mismatched, 1);
}

#[test]
fn a_generation_left_out_is_unchanged_and_vms_add_up() {
    let mut book = book();
    let one = report("a", 1, 1, vec![generation(1, vec![cell(Track::Primary, 5, 1)])]);
    book.enter(&one, at(0)).unwrap();
    book.enter(&report("a", 2, 2, vec![generation(2, vec![cell(Track::Canary, 3, 0)])]), at(1))
        .unwrap();
    book.enter(&report("b", 1, 1, one.rollouts[0].generations.clone()), at(1)).unwrap();
    assert_eq!(requests(&book), [(1, 10), (2, 3)]);
    assert_eq!(book.traffic(at(1)).heard, 2);
    assert_eq!(book.traffic(at(6_500)).heard, 0);
}

#[test]
fn a_vm_that_restarts_or_stands_in_another_scope_is_another() {
    let mut book = book();
    let first = report("a", 7, 1, vec![generation(1, vec![cell(Track::Primary, 5, 1)])]);
    let mut rebooted = first.clone();
    rebooted.boot = "00000000000000bb".into();
    rebooted.sequence = 1;
    let mut elsewhere = first.clone();
    elsewhere.scope = "gateway".into();
    for report in [&first, &rebooted, &elsewhere] {
        book.enter(report, at(0)).unwrap();
    }
    assert_eq!(requests(&book), [(1, 15)]);
}

#[test]
fn the_pods_own_side_would_count_everything_twice() {
    let mut book = book();
    let mut report = report("a", 1, 1, vec![generation(1, vec![cell(Track::Canary, 5, 1)])]);
    report.side = Side::Server;
    assert_eq!(book.enter(&report, at(0)), Err(Refused::OtherSide));
    assert!(requests(&book).is_empty());
}

#[test]
fn in_flight_requests_move_between_buckets_without_a_trace() {
    let mut book = book();
    let mut slow = cell(Track::Canary, 1, 0);
    slow.latency = Latency { done: vec![1], censored: vec![0, 0, 1] };
    let mut ended = cell(Track::Canary, 2, 0);
    ended.latency = Latency { done: vec![1, 0, 1], censored: vec![] };
    book.enter(&report("a", 1, 1, vec![generation(1, vec![slow])]), at(0)).unwrap();
    book.enter(&report("a", 2, 1, vec![generation(1, vec![ended])]), at(1)).unwrap();
    let latency = &book.traffic(at(1)).generations[0].cells[0].latency;
    assert_eq!((latency.at_edge(0), latency.at_edge(1)), ((2, 1), (2, 1)));
}

fn keyed(track: Track, at_risk: u64, users: &[u64]) -> Keyed {
    let failed = users.iter().map(|user| KeyHash(*user)).collect();
    Keyed { track, at_risk, failed, overflow: false }
}

#[test]
fn a_failing_user_counts_once_in_the_run_where_it_was_first_seen() {
    let mut book = book();
    let mut with = |proxy: &str, sequence, number, track, users: &[u64]| {
        let mut counts = generation(number, vec![]);
        counts.keyed = vec![keyed(track, 10, users)];
        book.enter(&report(proxy, sequence, number, vec![counts]), at(0)).unwrap();
    };
    with("a", 1, 1, Track::Canary, &[1, 2]);
    with("b", 1, 1, Track::Canary, &[2, 3]);
    with("a", 2, 2, Track::Canary, &[1, 4]);
    with("b", 2, 2, Track::Primary, &[4, 5]);
    let traffic = book.traffic(at(0));
    let failed = |generation: usize, track| {
        let keyed = &traffic.generations[generation].keyed;
        keyed.iter().find(|keyed| keyed.track == track).map(|keyed| (keyed.at_risk, keyed.failed))
    };
    assert_eq!(failed(0, Track::Canary), Some((20, 3)));
    assert_eq!(failed(0, Track::Primary), None);
    assert_eq!(failed(1, Track::Canary), Some((10, 1)));
    assert_eq!(failed(1, Track::Primary), Some((10, 1)));
}

#[test]
fn too_many_failing_users_are_an_overflow() {
    let mut book = book();
    let users: Vec<u64> = (0..=USERS_MAX as u64).collect();
    let mut counts = generation(1, vec![]);
    counts.keyed = vec![keyed(Track::Canary, 10, &users)];
    book.enter(&report("a", 1, 1, vec![counts]), at(0)).unwrap();
    let traffic = book.traffic(at(0));
    assert!(traffic.generations[0].keyed[0].overflow);
    assert_eq!(traffic.generations[0].keyed[0].failed, USERS_MAX as u64);
}

#[test]
fn other_runs_and_too_many_vms_are_refused() {
    let mut book = book();
    let mut other = report("a", 1, 1, vec![]);
    other.rollouts[0].run = "r0".into();
    assert_eq!(book.enter(&other, at(0)), Err(Refused::OtherRun));
    assert_eq!(book.heard().count(), 1);
    for index in 1..VMS_MAX {
        book.enter(&report(&index.to_string(), 1, 1, vec![]), at(0)).unwrap();
    }
    assert_eq!(book.enter(&report("late", 1, 1, vec![]), at(0)), Err(Refused::Full));
    assert_eq!(book.enter(&report("7", 2, 1, vec![]), at(0)), Ok(()));
}

#[test]
fn closed_generations_take_no_counts_and_the_oldest_are_forgotten() {
    let mut book = book();
    for number in 1..=100 {
        let counts = generation(number, vec![cell(Track::Primary, number, 0)]);
        book.enter(&report("a", number, number, vec![counts]), at(0)).unwrap();
    }
    let kept = requests(&book);
    assert_eq!(kept.len(), SUMS_MAX);
    assert_eq!((kept[0], kept[SUMS_MAX - 1]), ((37, 37), (100, 100)));
    let late = generation(50, vec![cell(Track::Primary, 1_000, 0)]);
    let open = generation(93, vec![cell(Track::Primary, 1_000, 0)]);
    book.enter(&report("a", 101, 100, vec![late, open]), at(0)).unwrap();
    assert_eq!(requests(&book)[50 - 37], (50, 50));
    assert_eq!(requests(&book)[93 - 37], (93, 1_000));
}

#[test]
fn other_edges_are_no_latency() {
    let mut book = book();
    book.enter(&report("a", 1, 1, vec![generation(1, vec![cell(Track::Primary, 5, 1)])]), at(0))
        .unwrap();
    let mut other = generation(1, vec![cell(Track::Primary, 5, 1)]);
    other.edges_ms = vec![20];
    book.enter(&report("b", 1, 1, vec![other]), at(0)).unwrap();
    let sum = &book.traffic(at(0)).generations[0].cells[0];
    assert_eq!((sum.requests, sum.latency.done.clone()), (10, vec![5]));
}

#[test]
fn upstreams_are_summed_by_address_and_bounded() {
    let mut book = book();
    let mut failing = cell(Track::Canary, 100, 100);
    let upstream = |index: u64| Upstream { address: format!("10.0.0.{index}:80"), failures: 1 };
    failing.upstreams = (0..100).map(upstream).collect();
    let counts = vec![generation(1, vec![failing])];
    book.enter(&report("a", 1, 1, counts.clone()), at(0)).unwrap();
    book.enter(&report("b", 1, 1, counts), at(0)).unwrap();
    let upstreams = &book.traffic(at(0)).generations[0].cells[0].upstreams;
    assert_eq!(upstreams.len(), UPSTREAMS_MAX);
    assert!(upstreams.iter().all(|upstream| upstream.failures == 2));
}

#[test]
fn acknowledged_after_two_periods_by_all_that_are_heard() {
    let mut book = book();
    let ask = |book: &Book, ms, expected| book.acknowledged(2, at(0), at(ms), 1_000, expected);
    assert_eq!(ask(&book, 2_500, None), Acknowledged::No);
    assert_eq!(ask(&book, 30_000, None), Acknowledged::Overdue);
    book.enter(&report("a", 1, 2, vec![]), at(400)).unwrap();
    assert_eq!(ask(&book, 1_999, None), Acknowledged::No);
    assert_eq!(ask(&book, 2_000, None), Acknowledged::Yes);
    book.enter(&report("b", 1, 1, vec![]), at(500)).unwrap();
    assert_eq!(ask(&book, 2_000, None), Acknowledged::No);
    assert_eq!(ask(&book, 5_450, None), Acknowledged::No);
    book.enter(&report("a", 2, 2, vec![]), at(5_501)).unwrap();
    assert_eq!(ask(&book, 5_501, None), Acknowledged::Yes, "b has fallen silent");
    assert_eq!(book.shown_at(2), Some(at(400)));
    assert_eq!(book.shown_at(3), None);
}

#[test]
fn where_the_number_of_vms_is_known_no_time_need_pass() {
    let mut book = book();
    let ask = |book: &Book, ms| book.acknowledged(1, at(0), at(ms), 1_000, Some(2));
    book.enter(&report("a", 1, 1, vec![]), at(100)).unwrap();
    assert_eq!(ask(&book, 3_000), Acknowledged::No);
    book.enter(&report("b", 1, 1, vec![]), at(3_100)).unwrap();
    assert_eq!(ask(&book, 3_100), Acknowledged::Yes);
    assert_eq!(book.shown_at(1), Some(at(3_100)));
}

#[test]
fn a_vm_without_the_run_holds_up_the_acknowledgement() {
    let mut book = book();
    book.enter(&report("a", 1, 1, vec![]), at(0)).unwrap();
    let mut old_table = report("b", 1, 1, vec![]);
    old_table.rollouts.clear();
    assert_eq!(book.enter(&old_table, at(0)), Err(Refused::OtherRun));
    assert_eq!(book.acknowledged(1, at(0), at(2_500), 1_000, None), Acknowledged::No);
    let silent: Vec<_> = book.heard().filter(|vm| vm.generation.is_none()).collect();
    assert_eq!(silent.len(), 1);
    assert_eq!(silent[0].proxy, "b");
    assert_eq!(since(at(0), at(2_500)), Duration::from_millis(2_500));
}

proptest! {
    /// Whatever is lost, repeated or out of order: once every VM's newest report has arrived, the sum is exact.
    #[test]
    fn the_sum_is_that_of_the_newest_reports(
        arrivals in prop::collection::vec((0_usize..3, 1_u64..20), 1..60),
    ) {
        let mut book = book();
        let counts = |sequence: u64| {
            (1..=2).map(move |number| {
                let made = sequence * number;
                generation(number, vec![cell(Track::Canary, made, made / 2)])
            })
        };
        let mut newest = [0; 3];
        for (vm, sequence) in arrivals {
            let fresh = sequence > newest[vm];
            let entered =
                book.enter(&report(&vm.to_string(), sequence, 2, counts(sequence).collect()), at(0));
            prop_assert_eq!(entered.is_ok(), fresh);
            newest[vm] = newest[vm].max(sequence);
        }
        let expected: u64 = newest.iter().sum();
        prop_assert_eq!(requests(&book), [(1, expected), (2, expected * 2)]);
    }
}

fn boots(book: &mut Book, proxy: &str, boots: &[&str], sequence: u64, ms: i64) {
    for boot in boots {
        let report = Report { boot: (*boot).into(), ..report(proxy, sequence, 1, Vec::new()) };
        book.enter(&report, at(ms)).unwrap();
    }
}

fn missing(book: &Book, ms: i64) -> Vec<(&str, usize)> {
    book.missing(at(ms)).map(|it| (it.proxy, it.vms)).collect()
}

#[test]
fn a_vm_is_missing_while_another_of_its_proxy_reports() {
    let mut book = book();
    boots(&mut book, "a", &["1", "2", "3"], 1, 0);
    boots(&mut book, "gone", &["1", "2"], 1, 0);
    boots(&mut book, "a", &["1"], 2, 20_000);
    assert!(missing(&book, 20_000).is_empty(), "not yet");
    boots(&mut book, "a", &["1"], 3, 20_500);
    assert_eq!(missing(&book, 20_500), [("a", 2)], "of a proxy that is gone nobody knows");
    // The others of the proxy have stopped, too.
    assert!(missing(&book, 26_000).is_empty());
}

#[test]
fn a_vm_that_was_replaced_is_not_missing() {
    let mut book = book();
    boots(&mut book, "a", &["1", "2"], 1, 0);
    boots(&mut book, "a", &["1"], 2, 21_000);
    assert_eq!(missing(&book, 21_000), [("a", 1)]);
    boots(&mut book, "a", &["3"], 1, 21_500);
    assert!(missing(&book, 21_500).is_empty(), "a config has revived it");
    // The proxy starts anew with as many.
    boots(&mut book, "a", &["4", "5"], 1, 30_000);
    boots(&mut book, "a", &["4", "5"], 2, 60_000);
    assert!(missing(&book, 60_000).is_empty());
    // Others are built while streams of these live.
    boots(&mut book, "a", &["6", "7"], 1, 61_000);
    boots(&mut book, "a", &["4", "5", "6", "7"], 3, 70_000);
    boots(&mut book, "a", &["6", "7"], 4, 100_000);
    assert!(missing(&book, 100_000).is_empty());
    boots(&mut book, "a", &["6"], 5, 130_000);
    assert_eq!(missing(&book, 130_000), [("a", 1)]);
}
