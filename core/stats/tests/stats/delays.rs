//! How long it takes until a fault is seen, against the simulated tables of an independent implementation.

use serin_stats::{Capped, Comparison, OddsTest, Restarting};

use crate::draw::{Draw, Track};

const HORIZON_S: u64 = 1800;

/// Requests per second, the canary's share, the primary's rate of bad ones.
#[derive(Clone, Copy)]
struct Traffic {
    per_second: f64,
    share: f64,
    base: f64,
}

const USUAL: Traffic = Traffic { per_second: 100.0, share: 0.05, base: 0.001 };
const BUSY: Traffic = Traffic { per_second: 1000.0, share: 0.05, base: 0.001 };
const SPARSE: Traffic = Traffic { per_second: 10.0, share: 0.1, base: 0.001 };
const TRICKLE: Traffic = Traffic { per_second: 1000.0, share: 0.01, base: 0.001 };
const NOISY: Traffic = Traffic { per_second: 100.0, share: 0.05, base: 0.005 };

/// A canary that is as good as the primary until `from_s` and then has `rate`.
#[derive(Clone, Copy)]
struct Fault {
    from_s: u64,
    rate: f64,
}

/// Tracks of one scenario, drawn second by second.
struct Scenario {
    primary: Track,
    healthy: Track,
    faulty: Track,
    from_s: u64,
}

impl Scenario {
    fn new(Traffic { per_second, share, base }: Traffic, fault: Fault) -> Self {
        Self {
            primary: Track::new(per_second * (1.0 - share), base),
            healthy: Track::new(per_second * share, base),
            faulty: Track::new(per_second * share, fault.rate),
            from_s: fault.from_s,
        }
    }

    /// Canary and primary.
    fn second(&self, draw: &mut Draw, now_s: u64) -> [serin_stats::Counts; 2] {
        let canary = if now_s < self.from_s { &self.healthy } else { &self.faulty };
        [canary.second(draw), self.primary.second(draw)]
    }
}

/// The median of delays in seconds, where what was never seen took forever; none if that is the median.
fn median(mut delays: Vec<Option<u64>>) -> Option<u64> {
    delays.sort_by_key(|delay| delay.unwrap_or(u64::MAX));
    delays[delays.len() / 2]
}

/// Medians of `runs` delays may differ by a tenth, or by three standard errors where these are more (delays spread
/// like their median, and the tables have errors of their own), or by one tick.
fn assert_near(what: &str, runs: u64, found: Option<u64>, expected: u64) {
    let expected = expected as f64;
    let standard_error = 0.75 * expected / (runs as f64).sqrt();
    let allowed = (0.1 * expected).max(3.0 * standard_error).max(1.0);
    let near = found.is_some_and(|found| (found as f64 - expected).abs() <= allowed);
    assert!(near, "{what}: median {found:?} s, expected {expected} ± {allowed:.1} s");
}

/// Delays of the odds test with and without restarts to E ≥ 1000, guard 1.5.
fn late_onset(traffic: Traffic, fault: Fault, runs: u64) -> [Option<u64>; 2] {
    let scenario = Scenario::new(traffic, fault);
    let threshold = 1000_f64.ln();
    let run = |seed| {
        let mut draw = Draw::new(seed);
        let mut plain = OddsTest::new(1.5);
        let mut restarting = Restarting::new(OddsTest::new(1.5));
        let mut seen = [None; 2];
        for now_s in 0..HORIZON_S {
            let [canary, primary] = scenario.second(&mut draw, now_s);
            plain.add(canary, primary);
            restarting.at(now_s).add(canary, primary);
            if now_s >= fault.from_s && canary.bad > 0 {
                let delay = now_s - fault.from_s + 1;
                for (seen, ln_e) in seen.iter_mut().zip([plain.ln_e(), restarting.ln_e()]) {
                    *seen = seen.or((ln_e >= threshold).then_some(delay));
                }
                if seen[1].is_some() && (seen[0].is_some() || fault.from_s == 0) {
                    break;
                }
            }
        }
        seen
    };
    let seen: Vec<_> = (0..runs).map(run).collect();
    [0, 1].map(|which| median(seen.iter().map(|delays| delays[which]).collect()))
}

fn assert_late_onset(traffic: Traffic, from_s: u64, rows: &[(f64, u64, u64)], runs: u64) {
    for &(rate, plain, restarting) in rows {
        let found = late_onset(traffic, Fault { from_s, rate }, runs);
        let what = format!("{rate} from {from_s} s at {}/s", traffic.per_second);
        if from_s > 0 {
            assert_near(&format!("{what}, plain"), runs, found[0], plain);
        }
        assert_near(&format!("{what}, restarting"), runs, found[1], restarting);
    }
}

/// Seconds to quarantine (.35·E ≥ 20) and to rollback (.35·E ≥ 1000, capped at 56 in 10 s).
fn composite(traffic: Traffic, fault: Fault, runs: u64) -> [Option<u64>; 2] {
    let scenario = Scenario::new(traffic, fault);
    let (quarantine, rollback) = ((20.0_f64 / 0.35).ln(), (1000.0_f64 / 0.35).ln());
    let run = |seed| {
        let mut draw = Draw::new(seed);
        let mut errors = Comparison::new(1.5, 0.001);
        let mut capped = Capped::new(56.0, 10);
        let (mut quarantined, mut rolled_back) = (None, None);
        for now_s in 0..HORIZON_S {
            let [canary, primary] = scenario.second(&mut draw, now_s);
            errors.add(now_s, canary, primary);
            let ln_e = errors.ln_e();
            capped.update(now_s, ln_e);
            if now_s >= fault.from_s {
                let delay = now_s - fault.from_s + 1;
                quarantined = quarantined.or((ln_e >= quarantine).then_some(delay));
                rolled_back = rolled_back.or((capped.ln_e() >= rollback).then_some(delay));
            }
            if rolled_back.is_some() {
                break;
            }
        }
        [quarantined, rolled_back]
    };
    let seen: Vec<_> = (0..runs).map(run).collect();
    [0, 1].map(|which| median(seen.iter().map(|delays| delays[which]).collect()))
}

fn assert_composite(traffic: Traffic, from_s: u64, rows: &[(f64, u64, u64)], runs: u64) {
    for &(rate, quarantine, rollback) in rows {
        let found = composite(traffic, Fault { from_s, rate }, runs);
        let what = format!("{rate} from {from_s} s at {}/s", traffic.per_second);
        assert_near(&format!("{what}, quarantine"), runs, found[0], quarantine);
        assert_near(&format!("{what}, rollback"), runs, found[1], rollback);
    }
}

#[test]
fn late_faults_are_seen_as_soon_as_simulated() {
    assert_late_onset(USUAL, 0, &[(0.01, 173, 193), (0.05, 17, 19), (0.3, 3, 3)], 200);
    assert_late_onset(USUAL, 900, &[(0.05, 74, 26), (0.3, 12, 4)], 200);
}

#[test]
fn composite_reacts_as_soon_as_simulated() {
    let rows = [(0.02, 42, 76), (0.05, 13, 28), (0.3, 2, 12), (1.0, 1, 11)];
    assert_composite(USUAL, 0, &rows, 300);
    assert_composite(USUAL, 0, &[(0.01, 130, 219)], 100);
    assert_composite(USUAL, 900, &[(0.05, 20, 37), (0.3, 3, 21)], 50);
    assert_composite(TRICKLE, 0, &[(0.05, 5, 15), (0.3, 1, 11)], 200);
    assert_composite(NOISY, 0, &[(0.05, 26, 52), (0.3, 2, 12)], 200);
}

#[test]
#[ignore = "a minute: cargo test -p serin-stats --test stats every_row -- --ignored"]
fn every_row_of_the_tables_is_met() {
    let runs = 1000;
    assert_late_onset(USUAL, 0, &[(0.01, 173, 193), (0.05, 17, 19), (0.3, 3, 3)], runs);
    assert_late_onset(USUAL, 300, &[(0.01, 330, 257), (0.05, 46, 27), (0.3, 8, 4)], runs);
    assert_late_onset(USUAL, 900, &[(0.01, 481, 248), (0.05, 74, 26), (0.3, 12, 4)], runs);
    assert_late_onset(BUSY, 0, &[(0.01, 18, 20), (0.05, 2, 2), (0.3, 1, 1)], runs);
    assert_late_onset(BUSY, 300, &[(0.01, 84, 29), (0.05, 14, 3), (0.3, 3, 1)], runs);
    assert_late_onset(BUSY, 900, &[(0.01, 159, 28), (0.05, 27, 3), (0.3, 5, 1)], runs);
    let usual = [
        (0.005, 519, 898),
        (0.01, 130, 219),
        (0.02, 42, 76),
        (0.05, 13, 28),
        (0.3, 2, 12),
        (1.0, 1, 11),
    ];
    assert_composite(USUAL, 0, &usual, runs);
    let late = [(0.01, 190, 288), (0.02, 69, 105), (0.05, 20, 37), (0.3, 3, 21)];
    assert_composite(USUAL, 900, &late, runs);
    let sparse = [(0.01, 815, 1462), (0.02, 277, 500), (0.05, 88, 155), (0.3, 14, 27)];
    assert_composite(SPARSE, 0, &sparse, runs);
    let trickle = [(0.01, 58, 105), (0.02, 19, 39), (0.05, 5, 15), (0.3, 1, 11)];
    assert_composite(TRICKLE, 0, &trickle, runs);
    assert_composite(NOISY, 0, &[(0.02, 187, 332), (0.05, 26, 52), (0.3, 2, 12)], runs);
}
