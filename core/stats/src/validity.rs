//! The guarantee itself, by exact enumeration: under its null no process is above 1 on average.

use crate::restart::sealed::Weights;
use crate::{Capped, Counts, Mixture, OddsTest, PassTest, RateTest, Restarting};
use crate::{cap, proportion_interval};

/// Of some hundred logarithms and exponentials.
const ROUNDING: f64 = 1e-10;

struct LnFactorials(Vec<f64>);

impl LnFactorials {
    fn new(most: usize) -> Self {
        let mut sum = 0.0;
        let rest = (1..=most).map(|n| {
            sum += (n as f64).ln();
            sum
        });
        Self(std::iter::once(0.0).chain(rest).collect())
    }

    fn choose(&self, n: usize, k: usize) -> f64 {
        self.0[n] - self.0[k] - self.0[n - k]
    }

    /// The law of the canary's part of `bad` events among `all` units, `canary` of them its own, if their odds are
    /// `omega` times the others': Fisher's non-central hypergeometric, as (part, probability).
    fn fisher(&self, [all, canary, bad]: [usize; 3], omega: f64) -> Vec<(usize, f64)> {
        let parts = bad.saturating_sub(all - canary)..=bad.min(canary);
        let rest = all - canary;
        let term = |k| self.choose(canary, k) + self.choose(rest, bad - k) + k as f64 * omega.ln();
        let most = parts.clone().map(term).fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = parts.clone().map(|k| (term(k) - most).exp()).sum();
        parts.map(|k| (k, (term(k) - most).exp() / total)).collect()
    }

    /// The greatest mean of any alternative's factor in one stratum, odds ratio `omega` being true.
    fn mean(&self, stratum: [usize; 3], omega0: f64, omega: f64) -> f64 {
        let [all, canary, bad] = stratum;
        let share = canary as f64 / all as f64;
        let mut means = [0.0; 24];
        for (k, probability) in self.fisher(stratum, omega) {
            let mut test = OddsTest::new(omega0);
            test.add_at(k as u64, bad as u64, share);
            for (mean, ln_factor) in means.iter_mut().zip(test.ln_weights()) {
                *mean += probability * ln_factor.exp();
            }
        }
        means.into_iter().fold(0.0, f64::max)
    }
}

/// All strata of up to 40 units.
fn assert_no_small_stratum_gains(omega0: f64) {
    let ln = LnFactorials::new(40);
    for all in 2..=40 {
        for (canary, bad) in (1..all).flat_map(|canary| (1..=all).map(move |bad| (canary, bad))) {
            let mean = ln.mean([all, canary, bad], omega0, omega0);
            assert!(mean <= 1.0 + ROUNDING, "{mean} at {all}, {canary}, {bad}, omega0 {omega0}");
        }
    }
}

#[test]
fn odds_test_gains_nothing_under_equal_odds() {
    assert_no_small_stratum_gains(1.0);
}

#[test]
fn odds_test_gains_nothing_at_its_guard() {
    assert_no_small_stratum_gains(1.5);
}

#[test]
fn odds_test_gains_nothing_at_other_guards() {
    for omega0 in [1.2, 2.0, 3.0] {
        assert_no_small_stratum_gains(omega0);
    }
}

#[test]
fn odds_test_gains_nothing_in_larger_strata() {
    let ln = LnFactorials::new(200);
    for all in [60, 100, 200] {
        for canary in [1, 2, 5, all / 10, all / 4, all / 2, all - 2] {
            for bad in [1, 2, 3, all / 10, all / 4, all / 2, all - 1, all] {
                for omega0 in [1.0, 1.2, 1.5, 2.0, 3.0] {
                    let mean = ln.mean([all, canary, bad], omega0, omega0);
                    assert!(mean <= 1.0 + ROUNDING, "{mean} at {all}, {canary}, {bad}, {omega0}");
                }
            }
        }
    }
}

#[test]
fn odds_test_gains_nothing_from_a_canary_that_is_better() {
    let ln = LnFactorials::new(14);
    for (canary, bad) in (1..14).flat_map(|canary| (1..=14).map(move |bad| (canary, bad))) {
        for omega in [0.1, 0.5, 1.0, 1.4] {
            let mean = ln.mean([14, canary, bad], 1.5, omega);
            assert!(mean <= 1.0 + ROUNDING, "{mean} at {canary}, {bad}, {omega}");
        }
    }
}

#[test]
fn odds_test_would_gain_if_the_truth_were_beyond_its_guard() {
    let ln = LnFactorials::new(20);
    assert!(ln.mean([20, 5, 1], 1.5, 2.0) > 1.02, "the enumeration sees no difference");
}

/// The mean of `e` over binomial counts of `n` units.
fn binomial_mean(n: usize, p: f64, e: impl Fn(Counts) -> f64) -> f64 {
    let ln = LnFactorials::new(n);
    let probability =
        |k: usize| (ln.choose(n, k) + k as f64 * p.ln() + (n - k) as f64 * (1.0 - p).ln()).exp();
    (0..=n).map(|k| probability(k) * e(Counts::new(n as u64, k as u64))).sum()
}

#[test]
fn rate_and_pass_test_gain_nothing_at_the_objective() {
    let rate = |counts| {
        let mut test = RateTest::new(0.02);
        test.add(counts);
        test.ln_e().exp()
    };
    let pass = |counts| {
        let mut test = PassTest::new(0.02);
        test.add(counts);
        test.ln_e().exp()
    };
    for n in [1, 2, 7, 30] {
        for (mean, beyond) in [
            (binomial_mean(n, 0.02, rate), binomial_mean(n, 0.03, rate)),
            (binomial_mean(n, 0.02, pass), binomial_mean(n, 0.01, pass)),
        ] {
            assert!((mean - 1.0).abs() <= ROUNDING, "a fair bet has mean 1, not {mean}");
            assert!(beyond > 1.0);
        }
        assert!(binomial_mean(n, 0.01, rate) < 1.0);
        assert!(binomial_mean(n, 0.03, pass) < 1.0);
    }
}

/// Mean evidence over all ways in which `bets` single events, one each `every_s` seconds, can fall on a canary with a
/// third of the units; the second is that of the capped process.
fn mean_of_bets(bets: u32, every_s: u64) -> (f64, f64) {
    let (mut plain, mut capped) = (0.0, 0.0);
    for way in 0..1_u32 << bets {
        let mut test = Restarting::new(OddsTest::new(1.0));
        let mut limited = Capped::new(2.0, 300);
        let mut probability = 1.0;
        for bet in 0..bets {
            let on_canary = way >> bet & 1;
            let now_s = every_s * u64::from(bet);
            test.at(now_s).add_at(u64::from(on_canary), 1, 1.0 / 3.0);
            limited.update(now_s, test.ln_e());
            probability *= if on_canary == 1 { 1.0 / 3.0 } else { 2.0 / 3.0 };
        }
        plain += probability * test.ln_e().exp();
        capped += probability * limited.ln_e().exp();
    }
    (plain, capped)
}

#[test]
fn restarts_neither_make_nor_lose_capital() {
    for every_s in [10, 60, 130, 400] {
        let (plain, capped) = mean_of_bets(10, every_s);
        assert!((plain - 1.0).abs() <= ROUNDING, "{plain} with a bet every {every_s} s");
        assert!(capped < 0.99, "the cap of 2 never held: {capped}");
    }
}

#[test]
fn restarted_capital_is_all_in_after_half_an_hour() {
    let mut test = Restarting::new(OddsTest::new(1.0));
    let before: f64 = test.at(1_739).ln_weights().iter().map(|weight| weight.exp()).sum();
    let after: f64 = test.at(1_740).ln_weights().iter().map(|weight| weight.exp()).sum();
    let long_after: f64 = test.at(u64::MAX).ln_weights().iter().map(|weight| weight.exp()).sum();
    assert!(before < 23.7 && (after - 24.0).abs() < ROUNDING && (long_after - after).abs() == 0.0);
    assert!(test.ln_e().abs() < ROUNDING);
}

#[test]
fn restarting_starts_any_mixture_at_one() {
    fn ln_e<T: Mixture>(test: T) -> f64 {
        Restarting::new(test).ln_e()
    }
    assert!(ln_e(OddsTest::new(1.5)).abs() < ROUNDING);
    assert!(ln_e(RateTest::new(0.001)).abs() < ROUNDING);
}

#[test]
fn two_blocks_convict_and_one_does_not() {
    for weight in [0.35, 0.2, 0.15, 0.1] {
        let cap = cap(0.001, weight);
        assert!(weight * cap < 1000.0 && weight * cap * cap >= 1000.0);
    }
}

/// The chance that an interval ever misses the truth within `most` units, by following all counts that it has not.
fn chance_of_ever_missing(most: usize, p: f64, alpha: f64) -> f64 {
    let mut inside = vec![1.0];
    let mut missed = 0.0;
    for n in 1..=most {
        let mut next = vec![0.0; n + 1];
        for (k, probability) in inside.iter().enumerate() {
            next[k] += probability * (1.0 - p);
            next[k + 1] += probability * p;
        }
        for (k, probability) in next.iter_mut().enumerate().filter(|(_, it)| **it > 0.0) {
            let interval = proportion_interval(Counts::new(n as u64, k as u64), alpha);
            if p < interval.lo || p > interval.hi {
                missed += *probability;
                *probability = 0.0;
            }
        }
        inside = next;
    }
    missed
}

#[test]
fn proportion_interval_holds_at_all_times() {
    for p in [0.02, 0.1, 0.5] {
        let missed = chance_of_ever_missing(100, p, 0.2);
        assert!(missed <= 0.2, "missed {missed} at {p}");
        assert!(missed > 0.02, "so wide that it says nothing: {missed} at {p}");
    }
}
