use serin_rollout::Severity;
use serin_route::Upstream;

use super::fixture::{at, plan, status};
use super::*;

fn cell(requests: u64, failures: u64, done: &[u64]) -> Cell {
    Cell {
        requests,
        failures,
        latency: Latency { done: done.to_vec(), censored: Vec::new() },
        upstreams: vec![Upstream { address: "127.0.0.1:1".into(), failures }],
        ..Cell::new(Track::Canary, Assignment::Weight)
    }
}

fn traffic(generations: &[(u64, Cell)]) -> Traffic {
    let generations = generations.iter().map(|(generation, cell)| GenerationTraffic {
        generation: *generation,
        edges_ms: vec![10, 20, 40],
        cells: vec![cell.clone()],
        ..Default::default()
    });
    Traffic { generations: generations.collect(), heard: 1 }
}

fn notice(second: i64, kind: NoticeKind) -> Notice {
    Notice {
        at: at(second),
        kind,
        severity: Severity::Info,
        message: format!("at {second}"),
        phase: Phase::Progressing,
        weight: Weight::ZERO,
        verdict: None,
    }
}

#[test]
fn points_hold_differences_even_when_a_generation_is_forgotten() {
    let mut recording = Recording::new("t", "y", &plan(&[10, 20, 40]));
    let first = cell(10, 1, &[9, 1]);
    recording.sample(
        at(0),
        &status(Weight::from_percent(10), Phase::Progressing),
        &traffic(&[(1, first.clone())]),
        None,
    );
    recording.sample(
        at(1),
        &status(Weight::from_percent(10), Phase::Progressing),
        &traffic(&[(1, cell(25, 4, &[20, 5]))]),
        None,
    );
    let both = traffic(&[(1, cell(26, 4, &[21, 5])), (2, cell(3, 0, &[3]))]);
    recording.sample(at(2), &status(Weight::from_percent(25), Phase::Progressing), &both, None);
    recording.sample(
        at(3),
        &status(Weight::from_percent(25), Phase::Progressing),
        &traffic(&[(2, cell(5, 0, &[5]))]),
        None,
    );
    let requests: Vec<u64> =
        recording.points.iter().map(|point| point.tracks.canary.requests).collect();
    assert_eq!(requests, [10, 15, 4, 2]);
    assert_eq!(recording.totals().canary.failures, 4);
    assert_eq!(recording.failures.upstreams(), [("127.0.0.1:1", Track::Canary, 4)]);
    let weights: Vec<Weight> = recording.weights.iter().map(|change| change.weight).collect();
    assert_eq!(weights, [Weight::from_percent(10), Weight::from_percent(25)]);
}

#[test]
fn a_count_that_falls_adds_nothing() {
    let mut recording = Recording::new("t", "y", &plan(&[10, 20, 40]));
    recording.sample(
        at(0),
        &status(Weight::from_percent(10), Phase::Progressing),
        &traffic(&[(1, cell(10, 1, &[10]))]),
        None,
    );
    recording.sample(
        at(1),
        &status(Weight::from_percent(10), Phase::Progressing),
        &traffic(&[(1, cell(4, 0, &[4]))]),
        None,
    );
    recording.sample(
        at(2),
        &status(Weight::from_percent(10), Phase::Progressing),
        &traffic(&[(1, cell(6, 0, &[6]))]),
        None,
    );
    assert_eq!(recording.totals().canary.requests, 12);
}

#[test]
fn a_long_release_is_thinned_without_losing_a_request() {
    let mut recording = Recording::new("t", "y", &plan(&[10, 20, 40]));
    for second in 0..5000_u32 {
        let counts = cell(u64::from(second) + 1, 0, &[u64::from(second) + 1]);
        let percent = u8::try_from(second % 100).expect("below 100");
        recording.sample(
            at(second.into()),
            &status(Weight::from_percent(percent), Phase::Progressing),
            &traffic(&[(1, counts)]),
            None,
        );
        recording.note(&notice(second.into(), NoticeKind::CheckPassed));
    }
    assert_eq!(recording.totals().canary.requests, 5000);
    assert!(recording.points.len() <= POINTS_MAX, "{} points", recording.points.len());
    assert!(recording.weights.len() <= WEIGHTS_MAX + 1, "{} weights", recording.weights.len());
    assert_eq!(recording.span_s, 8);
    assert_eq!(recording.notices.len(), NOTICES_MAX);
    assert_eq!(recording.notices_dropped, 4500);
    assert_eq!(recording.notices.first().expect("kept").message, "at 0");
    assert_eq!(recording.notices.last().expect("kept").message, "at 4999");
}

#[test]
fn quantiles_are_interpolated_between_edges() {
    let edges = [10, 20, 40];
    let mut tally = Tally::default();
    tally.add_cell(&cell(4, 0, &[2, 2]));
    assert_eq!(tally.quantile(&edges, 0.5), Some(10.0));
    assert_eq!(tally.quantile(&edges, 1.0), Some(20.0));
    let middle = tally.quantile(&edges, 0.75).expect("counted");
    assert!((middle - 200_f64.sqrt()).abs() < 1e-9, "{middle}");
    tally.add_cell(&cell(100, 0, &[0, 0, 0, 100]));
    assert_eq!(tally.quantile(&edges, 0.99), Some(40.0), "beyond the last edge");
    assert_eq!(Tally::default().quantile(&edges, 0.5), None);
}

#[test]
fn hanging_requests_show_how_long_they_hang() {
    let mut hanging = cell(0, 0, &[]);
    hanging.latency.censored = vec![0, 0, 5];
    let mut tally = Tally::default();
    tally.add_cell(&hanging);
    assert!(tally.quantile(&[10, 20, 40], 0.5).is_some_and(|ms| ms > 20.0));
}

#[test]
fn time_runs_from_the_first_run_and_without_one_nothing_is_kept() {
    let mut recording = Recording::new("t", "y", &plan(&[10, 20, 40]));
    recording.sample(at(0), &Status::default(), &Traffic::default(), None);
    assert_eq!(recording.started, None);
    recording.sample(
        at(7),
        &status(Weight::from_percent(10), Phase::Progressing),
        &Traffic::default(),
        None,
    );
    recording.note(&notice(9, NoticeKind::RolledBack));
    assert!((recording.duration_s() - 2.0).abs() < 1e-9);
}

#[test]
fn a_promoted_version_has_all_traffic() {
    let mut recording = Recording::new("t", "y", &plan(&[]));
    let half = Weight::from_percent(50);
    recording.sample(at(0), &status(half, Phase::Progressing), &Traffic::default(), None);
    recording.sample(at(1), &status(Weight::ZERO, Phase::Finalising), &Traffic::default(), None);
    recording.sample(at(2), &status(Weight::ZERO, Phase::Succeeded), &Traffic::default(), None);
    let weights: Vec<Weight> = recording.weights.iter().map(|change| change.weight).collect();
    assert_eq!(weights, [half, Weight::FULL]);
}
