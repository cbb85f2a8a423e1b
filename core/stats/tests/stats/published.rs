//! Numbers that were fixed before this code was written.

use serin_stats::{Counts, OddsTest, PassTest, RateTest, cap};

/// (canary's bad, all bad, canary's share of the units).
const OBSERVED: [(u64, u64, f64); 9] = [
    (1, 1, 0.05),
    (0, 1, 0.05),
    (1, 1, 0.05),
    (2, 2, 0.05),
    (0, 3, 0.05),
    (1, 1, 0.10),
    (3, 4, 0.25),
    (0, 0, 0.25),
    (5, 9, 0.5),
];

/// `close(a, b)`: to the nine digits after the point that were published.
fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-8, "found {found}, expected {expected}");
}

fn running(omega0: f64) -> Vec<f64> {
    let mut test = OddsTest::new(omega0);
    let add = |&(canary_bad, bad, share): &(u64, u64, f64)| {
        test.add_at(canary_bad, bad, share);
        test.ln_e()
    };
    OBSERVED.iter().map(add).collect()
}

#[test]
fn odds_test_follows_the_published_path() {
    let strict = [
        2.350_442_986,
        1.152_424_320,
        3.469_518_307,
        8.689_122_733,
        5.451_171_271,
        7.339_384_602,
        9.218_559_042,
        9.218_559_042,
        5.073_240_066,
    ];
    let guarded = [
        2.079_074_551,
        0.782_802_419,
        2.756_104_182,
        7.244_585_481,
        4.026_036_570,
        5.558_305_727,
        6.692_256_875,
        6.692_256_875,
        2.524_604_571,
    ];
    for (omega0, path) in [(1.0, strict), (1.5, guarded)] {
        for (found, expected) in running(omega0).into_iter().zip(path) {
            close(found, expected);
        }
    }
}

#[test]
fn canary_errors_in_a_row_that_convict() {
    let rows = [
        (0.01, [[1, 2, 2], [1, 2, 3], [2, 2, 3]]),
        (0.05, [[2, 2, 3], [2, 3, 4], [2, 3, 4]]),
        (0.10, [[2, 3, 4], [2, 3, 4], [3, 4, 5]]),
        (0.25, [[3, 4, 6], [4, 5, 7], [4, 6, 9]]),
        (0.50, [[5, 8, 11], [7, 10, 15], [9, 13, 19]]),
        (0.75, [[12, 18, 26], [17, 26, 38], [22, 33, 49]]),
    ];
    for (share, by_omega0) in rows {
        for (omega0, expected) in [1.0, 1.5, 2.0].into_iter().zip(by_omega0) {
            let found = [20.0_f64, 100.0, 1000.0].map(|e| {
                let mut test = OddsTest::new(omega0);
                (1..100).find(|_| {
                    test.add_at(1, 1, share);
                    test.ln_e() >= e.ln()
                })
            });
            assert_eq!(found, expected.map(Some), "share {share}, omega0 {omega0}");
        }
    }
}

#[test]
fn rate_test_gives_the_published_evidence() {
    let rows = [
        (3, 10, 0.01, 6.571_394_630_025_686_5),
        (5, 100, 0.01, 2.493_436_704_375_716_4),
        (0, 100, 0.01, -2.705_225_892_641_052),
        (2, 40, 0.001, 4.766_487_916_034_357),
    ];
    for (bad, exposed, limit, expected) in rows {
        let mut test = RateTest::new(limit);
        test.add(Counts::new(exposed, bad));
        close(test.ln_e(), expected);
    }
}

#[test]
fn pass_test_asks_for_the_published_number_of_units() {
    let rows: [(f64, &[u64]); 2] = [(0.05, &[358, 634, 867, 1072]), (0.01, &[536, 826, 1074])];
    for (alpha, expected) in rows {
        let threshold = (1.0 / alpha).ln();
        for (bad, &units) in (0_u64..).zip(expected) {
            let mut test = PassTest::new(0.01);
            test.add(Counts::new(bad, bad));
            assert_eq!(test.good_units_to(threshold), Some(units - bad), "{bad} bad");
            test.add(Counts::new(units - bad - 1, 0));
            assert!(test.ln_e() < threshold);
            test.add(Counts::new(1, 0));
            assert!(test.ln_e() >= threshold);
            assert_eq!(test.good_units_to(threshold), Some(0));
        }
    }
}

#[test]
fn cap_of_a_process_follows_its_share_of_alpha() {
    assert_eq!([0.35, 0.20, 0.10].map(|weight| cap(0.001, weight) as u32), [54, 71, 100]);
}
