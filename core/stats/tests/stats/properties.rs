//! What holds for any counts.

use proptest::collection::vec;
use proptest::prelude::*;
use serin_stats::{
    Capped, Comparison, Counts, OddsTest, PassTest, RateTest, Restarting, cap, mean_ln,
    odds_ratio_interval, proportion_interval, weighted_ln,
};

fn counts() -> impl Strategy<Value = Counts> {
    (0..200_u64, 0..50_u64).prop_map(|(exposed, bad)| Counts::new(exposed, bad))
}

/// Counts that no report should hold.
fn wild() -> impl Strategy<Value = Counts> {
    let any_size = || prop_oneof![0..3_u64, 0..1000_u64, Just(u64::MAX), any::<u64>()];
    (any_size(), any_size()).prop_map(|(exposed, bad)| Counts::new(exposed, bad))
}

fn wild_number() -> impl Strategy<Value = f64> {
    const ODD: [f64; 8] =
        [0.0, -0.0, 1.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX];
    prop_oneof![proptest::sample::select(&ODD), -2.0..2.0_f64, any::<f64>()]
}

fn close(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-9 * (1.0 + one.abs())
}

fn comparison(strata: &[(Counts, Counts)], now_s: u64) -> Comparison {
    let mut test = Comparison::new(1.5, 0.001);
    for &(canary, primary) in strata {
        test.add(now_s, canary, primary);
    }
    test
}

proptest! {
    #[test]
    fn order_of_strata_in_a_tick_does_not_matter(
        mut strata in vec((counts(), counts()), 0..12), now_s in 0..4000_u64,
    ) {
        let forwards = comparison(&strata, now_s).ln_e();
        strata.reverse();
        prop_assert!(close(comparison(&strata, now_s).ln_e(), forwards));
    }

    #[test]
    fn one_sample_may_be_added_in_parts(parts in vec(counts(), 0..12)) {
        let clamp = |part: &Counts| Counts::new(part.exposed, part.bad.min(part.exposed));
        let all = parts.iter().map(clamp).fold(Counts::default(), Counts::plus);
        let (mut rate, mut pass) = (RateTest::new(0.01), PassTest::new(0.01));
        for &part in &parts {
            rate.add(part);
            pass.add(part);
        }
        let (mut rate_once, mut pass_once) = (RateTest::new(0.01), PassTest::new(0.01));
        rate_once.add(all);
        pass_once.add(all);
        prop_assert!(close(rate.ln_e(), rate_once.ln_e()) && close(pass.ln_e(), pass_once.ln_e()));
    }

    /// Where the share is the same, merging is adding: what late batches and several callers rely on.
    #[test]
    fn events_at_one_share_may_be_merged(
        parts in vec((0..5_u64, 0..5_u64), 0..12), share in 0.01..0.99_f64,
    ) {
        let (mut one_by_one, mut at_once) = (OddsTest::new(1.5), OddsTest::new(1.5));
        for &(canary, primary) in &parts {
            one_by_one.add_at(canary, canary + primary, share);
        }
        let canary = parts.iter().map(|part| part.0).sum();
        let primary: u64 = parts.iter().map(|part| part.1).sum();
        at_once.add_at(canary, canary + primary, share);
        prop_assert!(close(one_by_one.ln_e(), at_once.ln_e()));
    }

    #[test]
    fn empty_strata_change_nothing(
        strata in vec((counts(), counts()), 1..6), now_s in 0..4000_u64, primary in counts(),
    ) {
        let mut test = comparison(&strata, 0);
        let before = test.clone();
        test.add(now_s, Counts::new(0, 0), primary);
        prop_assert_eq!(test, before);
    }

    /// A tick without data may be left out: restarts that were missed change nothing when they are made up for.
    #[test]
    fn ticks_without_data_may_be_left_out(
        strata in vec((counts(), counts()), 1..6), gaps_s in vec(0..400_u64, 6),
    ) {
        let (mut sparse, mut dense) = (Restarting::new(OddsTest::new(1.0)), Restarting::new(OddsTest::new(1.0)));
        let mut now_s = 0;
        for (&(canary, primary), gap_s) in strata.iter().zip(gaps_s) {
            for second in now_s..=now_s + gap_s {
                dense.at(second);
            }
            now_s += gap_s;
            sparse.at(now_s).add(canary, primary);
            dense.at(now_s).add(canary, primary);
        }
        prop_assert!(close(sparse.ln_e(), dense.ln_e()));
    }

    #[test]
    fn one_more_canary_error_never_lessens_the_evidence(
        strata in vec((counts(), counts()), 0..6), exposed in 2..50_u64, bad in 0..50_u64, primary in counts(),
    ) {
        let bad = bad.min(exposed - 1);
        let with = |bad| {
            let mut test = comparison(&strata, 0);
            test.add(1, Counts::new(exposed, bad), primary);
            test.ln_e()
        };
        prop_assert!(with(bad + 1) >= with(bad) - 1e-9);
    }

    #[test]
    fn evidence_is_always_a_number(
        strata in vec((any::<u64>(), wild(), wild()), 0..8),
        omega0 in wild_number(), rate in wild_number(), share in wild_number(), factor in wild_number(),
    ) {
        let mut test = Comparison::new(omega0, rate);
        let mut odds = OddsTest::new(omega0);
        let mut objective = PassTest::new(rate);
        let mut capped = Capped::new(factor, strata.len() as u64);
        for &(now_s, canary, primary) in &strata {
            test.add(now_s, canary, primary);
            odds.add_at(canary.bad, primary.bad, share);
            objective.add(canary);
            capped.update(now_s, test.ln_e());
            capped.update(now_s, factor);
        }
        for ln_e in [test.ln_e(), odds.ln_e(), objective.ln_e(), capped.ln_e()] {
            prop_assert!(ln_e.is_finite(), "{ln_e}");
        }
        prop_assert!(objective.good_units_to(factor).is_none_or(|units| units <= 1 << 52));
        prop_assert!(cap(factor, share) >= 1.0);
    }

    #[test]
    fn intervals_are_ordered_and_hold_the_estimate(
        strata in vec((wild(), wild()), 0..4), alpha in wild_number(),
    ) {
        for &(canary, _) in &strata {
            let interval = proportion_interval(canary, alpha);
            prop_assert!(0.0 <= interval.lo && interval.lo <= interval.hi && interval.hi <= 1.0);
            if let Some(rate) = canary.rate() {
                prop_assert!(interval.lo <= rate && rate <= interval.hi, "{interval:?}, {rate}");
            }
        }
        if let Some(interval) = odds_ratio_interval(&strata, alpha) {
            prop_assert!(0.0 < interval.lo && interval.lo <= interval.hi && interval.hi < 1.1e6);
        }
    }

    #[test]
    fn combinations_lie_between_their_parts(ln_es in vec(-500.0..500.0_f64, 1..10)) {
        let most = ln_es.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let least = ln_es.iter().copied().fold(f64::INFINITY, f64::min);
        let share = 1.0 / ln_es.len() as f64;
        let mean = mean_ln(ln_es.iter().copied());
        let weighted = weighted_ln(ln_es.iter().map(|&ln_e| (share, ln_e)));
        prop_assert!(least - 1e-9 <= mean && mean <= most + 1e-9);
        // Not in logarithms: the weights may fall short of 1 by rounding, and the rest stays on 1.
        prop_assert!(close(mean.exp(), weighted.exp()), "{mean} {weighted}");
    }

    #[test]
    fn capped_evidence_is_never_above_the_process(
        steps in vec((0..15_u64, -3.0..9.0_f64), 1..60), cap in 1.0..100.0_f64,
    ) {
        let mut capped = Capped::new(cap, 10);
        let (mut now_s, mut ln_e) = (0, 0.0);
        let mut blocks = std::collections::BTreeSet::new();
        for (gap_s, gain) in steps {
            now_s += gap_s;
            ln_e += gain;
            let before = capped.ln_e();
            capped.update(now_s, ln_e);
            blocks.insert(now_s / 10);
            prop_assert!(capped.ln_e() <= ln_e + 1e-9);
            prop_assert!(capped.ln_e() <= blocks.len() as f64 * cap.ln() + 1e-9);
            prop_assert!(capped.ln_e() <= before.max(before + cap.ln() + gain.max(0.0)) + 1e-9);
            prop_assert!(capped.blocks() as usize <= blocks.len());
        }
    }

    #[test]
    fn state_survives_serialisation(strata in vec((0..4000_u64, counts(), counts()), 0..12)) {
        let mut test = Comparison::new(1.5, 0.001);
        for &(now_s, canary, primary) in &strata {
            test.add(now_s, canary, primary);
        }
        let json = serde_json::to_string(&test).unwrap();
        let mut back: Comparison = serde_json::from_str(&json).unwrap();
        test.add(5000, Counts::new(10, 3), Counts::new(90, 1));
        back.add(5000, Counts::new(10, 3), Counts::new(90, 1));
        prop_assert!(close(test.ln_e(), back.ln_e()));
        prop_assert!(json.len() < 2000, "{} bytes", json.len());
    }
}

#[test]
fn nothing_is_no_evidence() {
    assert!(mean_ln([]).abs() < f64::EPSILON);
    assert!(weighted_ln([]).abs() < f64::EPSILON);
    assert!(weighted_ln([(0.35, 0.0), (f64::NAN, 9.0), (0.2, f64::NAN)]).abs() < 1e-15);
    assert!(odds_ratio_interval(&[(Counts::new(5, 0), Counts::new(95, 0))], 0.05).is_none());
    assert!(odds_ratio_interval(&[(Counts::new(5, 2), Counts::new(0, 0))], 0.05).is_none());
}

#[test]
fn weights_are_a_budget() {
    let share = weighted_ln([(0.35, 5000_f64.ln()), (0.2, 0.0)]);
    assert!((share.exp() - (0.35 * 5000.0 + 0.65)).abs() < 1e-6);
    let overdrawn = weighted_ln([(2.0, 10_f64.ln()), (2.0, 30_f64.ln())]);
    assert!((overdrawn.exp() - 20.0).abs() < 1e-9);
}

#[test]
fn capped_counts_the_blocks_that_rose() {
    let mut capped = Capped::new(10.0, 10);
    let mut at = |now_s, ln_e| {
        capped.update(now_s, ln_e);
        (capped.blocks(), (capped.ln_e() * 1e6).round() / 1e6)
    };
    let ten = (10_f64.ln() * 1e6).round() / 1e6;
    assert_eq!(at(3, 9.0), (1, ten));
    assert_eq!(at(9, 50.0), (1, ten));
    assert_eq!(at(10, 50.0), (1, ten));
    assert_eq!(at(25, 49.0), (1, (10_f64.ln() * 1e6 - 1e6).round() / 1e6));
    assert_eq!(at(47, 49.5), (2, (10_f64.ln() * 1e6 - 5e5).round() / 1e6));
    // Time that goes back stays in the latest block, however much the evidence grows then.
    assert_eq!(at(2, 99.0), (2, (10_f64.ln() * 2e6 - 1e6).round() / 1e6));
    assert_eq!(at(49, 99.0), at(2, 99.0));
}

#[test]
fn time_that_goes_back_starts_nothing_anew() {
    let evidence = |times_s: [u64; 4]| {
        let mut test = Restarting::new(OddsTest::new(1.5));
        for now_s in times_s {
            test.at(now_s).add_at(1, 2, 0.1);
        }
        test.ln_e()
    };
    assert_eq!(evidence([600, 600, 600, 660]).to_bits(), evidence([600, 0, 120, 660]).to_bits());
    assert!(evidence([600, 600, 600, 660]) > evidence([0, 0, 0, 660]));
}

#[test]
fn counts_that_contradict_themselves_are_clamped() {
    let (mut all, mut more_than_all) = (OddsTest::new(1.0), OddsTest::new(1.0));
    all.add_at(2, 2, 0.1);
    more_than_all.add_at(3, 2, 0.1);
    assert_eq!(all, more_than_all);
    let most = Counts::new(u64::MAX, u64::MAX);
    assert_eq!(most.plus(Counts::new(5, 3)), most);
    assert_eq!(Counts::new(2, 7).rate(), Some(1.0));
    assert_eq!(Counts::new(0, 7).rate(), None);
}

#[test]
fn an_objective_that_cannot_be_shown_to_hold_needs_no_end_of_units() {
    let mut test = PassTest::new(0.0);
    test.add(Counts::new(1 << 62, 1 << 62));
    assert_eq!(test.good_units_to(20_f64.ln()), None);
    assert_eq!(PassTest::new(0.01).good_units_to(f64::NAN), None);
}
