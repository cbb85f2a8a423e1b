//! Random sequences against `golden/reference.py`, which computes the same from the definitions.

use serde::Deserialize;
use serin_stats::{
    Capped, Comparison, Counts, Interval, OddsTest, RateTest, odds_ratio_interval,
    proportion_interval,
};

#[derive(Deserialize)]
struct Sequences {
    sequences: Vec<Sequence>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sequence {
    name: String,
    omega0: f64,
    floor: f64,
    cap: f64,
    block_s: u64,
    /// Second, canary's units and bad ones, primary's units and bad ones.
    strata: Vec<[u64; 5]>,
    expected: Vec<Expected>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Expected {
    second: u64,
    plain_odds: f64,
    plain_rate: f64,
    relative: f64,
    absolute: f64,
    capped: f64,
}

#[derive(Deserialize)]
struct Intervals {
    proportions: Vec<Proportion>,
    odds: Vec<Odds>,
}

#[derive(Deserialize)]
struct Proportion {
    exposed: u64,
    bad: u64,
    alpha: f64,
    expected: Interval,
}

#[derive(Deserialize)]
struct Odds {
    /// As above, without the second.
    strata: Vec<[u64; 4]>,
    alpha: f64,
    /// What the approximation may be off, as a share of the bounds.
    within: f64,
    expected: Interval,
}

fn tracks([canary, canary_bad, primary, primary_bad]: [u64; 4]) -> (Counts, Counts) {
    (Counts::new(canary, canary_bad), Counts::new(primary, primary_bad))
}

/// All tests of one sequence, fed at once.
struct Processes {
    odds: OddsTest,
    rate: RateTest,
    both: Comparison,
    capped: Capped,
}

impl Processes {
    fn new(of: &Sequence) -> Self {
        Self {
            odds: OddsTest::new(of.omega0),
            rate: RateTest::new(of.floor),
            both: Comparison::new(of.omega0, of.floor),
            capped: Capped::new(of.cap, of.block_s),
        }
    }

    fn add(&mut self, [second, rest @ ..]: [u64; 5]) {
        let (canary, primary) = tracks(rest);
        self.odds.add(canary, primary);
        self.rate.add(canary);
        self.both.add(second, canary, primary);
    }
}

#[test]
fn sequences_agree_with_the_reference() {
    let golden: Sequences =
        serde_json::from_str(include_str!("../../golden/sequences.json")).unwrap();
    let mut compared = 0;
    for sequence in &golden.sequences {
        let mut tests = Processes::new(sequence);
        let last = sequence.expected.iter().map(|expected| expected.second).max().unwrap();
        for second in 0..=last {
            for &stratum in sequence.strata.iter().filter(|stratum| stratum[0] == second) {
                tests.add(stratum);
            }
            tests.capped.update(second, tests.both.ln_e());
            for expected in sequence.expected.iter().filter(|it| it.second == second) {
                let pairs = [
                    (tests.odds.ln_e(), expected.plain_odds),
                    (tests.rate.ln_e(), expected.plain_rate),
                    (tests.both.ln_e_relative(), expected.relative),
                    (tests.both.ln_e_absolute(), expected.absolute),
                    (tests.both.ln_e(), expected.relative.min(expected.absolute)),
                    (tests.capped.ln_e(), expected.capped),
                ];
                for (index, (found, wanted)) in pairs.into_iter().enumerate() {
                    let near = (found - wanted).abs() <= 1e-8 * wanted.abs().max(1.0);
                    let name = &sequence.name;
                    assert!(near, "{name}, second {second}, {index}: {found}, not {wanted}");
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 900, "only {compared} values compared");
}

#[test]
fn proportion_intervals_agree_with_the_reference() {
    let golden: Intervals =
        serde_json::from_str(include_str!("../../golden/intervals.json")).unwrap();
    assert!(golden.proportions.len() >= 18);
    for Proportion { exposed, bad, alpha, expected } in golden.proportions {
        let found = proportion_interval(Counts::new(exposed, bad), alpha);
        // Over 2 million units the logarithms cancel to about nine digits, here and in the reference.
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-9;
        let same = near(found.lo, expected.lo) && near(found.hi, expected.hi);
        assert!(same, "{bad} of {exposed} at {alpha}: {found:?}, not {expected:?}");
    }
}

#[test]
fn odds_ratio_intervals_are_near_the_exact_ones() {
    let golden: Intervals =
        serde_json::from_str(include_str!("../../golden/intervals.json")).unwrap();
    assert!(golden.odds.len() >= 13);
    for Odds { strata, alpha, within, expected } in golden.odds {
        let strata: Vec<_> = strata.into_iter().map(tracks).collect();
        let found = odds_ratio_interval(&strata, alpha).unwrap();
        let near = |a: f64, b: f64| (a / b).ln().abs() <= within;
        let same = near(found.lo, expected.lo) && near(found.hi, expected.hi);
        assert!(same, "{strata:?}: {found:?}, not {expected:?}");
    }
}
