//! Slower canaries: one odds test for each edge of a latency histogram, their mean as evidence.

use serin_stats::{Counts, OddsTest, mean_ln};

use crate::draw::{Draw, Poisson};

/// Milliseconds, as in the simulation that the expected delays are from.
const EDGES_MS: [f64; 19] = [
    5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0, 80.0, 120.0, 160.0, 240.0, 320.0, 480.0, 640.0,
    960.0, 1280.0, 2560.0, 5120.0,
];

/// Log-normal around 50 ms times `slower`; `stalled` of the requests take a second more.
#[derive(Clone, Copy)]
struct Latency {
    slower: f64,
    stalled: f64,
}

const USUAL: Latency = Latency { slower: 1.0, stalled: 0.0 };

impl Latency {
    fn draw_ms(self, draw: &mut Draw) -> f64 {
        let radius = (-2.0 * (1.0 - draw.unit()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * draw.unit()).cos();
        let stall = if draw.unit() < self.stalled { 1000.0 } else { 0.0 };
        50.0 * self.slower * (0.6 * normal).exp() + stall
    }

    /// How many of `requests` outlive each edge.
    fn outlived(self, draw: &mut Draw, requests: u64) -> [u64; EDGES_MS.len()] {
        let mut outlived = [0; EDGES_MS.len()];
        for _ in 0..requests {
            let latency_ms = self.draw_ms(draw);
            for (count, edge_ms) in outlived.iter_mut().zip(EDGES_MS) {
                *count += u64::from(latency_ms > edge_ms);
            }
        }
        outlived
    }
}

/// Seconds until E ≥ 1000 at 5 canary and 95 primary requests a second.
fn delay(canary: Latency, seed: u64, horizon_s: u64) -> Option<u64> {
    let mut draw = Draw::new(seed);
    let (canary_arrivals, primary_arrivals) = (Poisson::new(5.0), Poisson::new(95.0));
    let mut edges = EDGES_MS.map(|_| OddsTest::new(1.0));
    (1..=horizon_s).find(|_| {
        let on_canary = canary_arrivals.draw(&mut draw);
        let on_primary = primary_arrivals.draw(&mut draw);
        let slow_canary = canary.outlived(&mut draw, on_canary);
        let slow_primary = USUAL.outlived(&mut draw, on_primary);
        for ((edge, canary), primary) in edges.iter_mut().zip(slow_canary).zip(slow_primary) {
            edge.add(Counts::new(on_canary, canary), Counts::new(on_primary, primary));
        }
        mean_ln(edges.iter().map(OddsTest::ln_e)) >= 1000_f64.ln()
    })
}

fn median_delay(canary: Latency, runs: u64) -> u64 {
    let mut delays: Vec<_> =
        (0..runs).map(|seed| delay(canary, seed, 600).unwrap_or(u64::MAX)).collect();
    delays.sort_unstable();
    delays[delays.len() / 2]
}

#[test]
fn slow_canaries_are_seen_as_soon_as_simulated() {
    let rows = [
        (Latency { slower: 5.0, ..USUAL }, 2, 1),
        (Latency { slower: 2.0, ..USUAL }, 7, 1),
        (Latency { slower: 1.5, ..USUAL }, 23, 3),
        (Latency { stalled: 0.05, ..USUAL }, 15, 2),
        (Latency { stalled: 0.01, ..USUAL }, 77, 12),
    ];
    for (canary, expected, allowed) in rows {
        let found = median_delay(canary, 60);
        let Latency { slower, stalled } = canary;
        let near = found.abs_diff(expected) <= allowed;
        assert!(near, "x{slower}, {stalled} stalled: {found} s, expected {expected} ± {allowed}");
    }
}

#[test]
fn equally_fast_canaries_are_not_accused() {
    let accused = (0..20).filter(|&seed| delay(USUAL, seed, 120).is_some()).count();
    assert_eq!(accused, 0, "at alpha .001, seeds 0..20");
}
