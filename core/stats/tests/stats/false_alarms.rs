//! A healthy canary under trouble that both tracks share: it may be accused, but no oftener than allowed.

use serin_stats::{Counts, OddsTest, Restarting};

use crate::draw::{Draw, Poisson};

const HORIZON_S: u64 = 1800;
const SHARE: f64 = 0.2;

/// What happens to every request alike, whatever its track.
#[derive(Clone, Copy, Debug)]
enum World {
    Steady,
    /// The rate of bad ones swings from 0 to 10 % with traffic, every ten minutes.
    Drift,
    /// For a minute most requests fail.
    Outage,
    /// A failing request is tried three times, each attempt on a track of its own.
    Retries,
}

impl World {
    fn bad_rate(self, now_s: u64) -> f64 {
        match self {
            Self::Steady | Self::Retries => 0.02,
            Self::Drift => 0.05 * (1.0 + (now_s as f64 * std::f64::consts::TAU / 600.0).sin()),
            Self::Outage => {
                if (300..360).contains(&now_s) {
                    0.7
                } else {
                    0.005
                }
            }
        }
    }

    fn second(self, draw: &mut Draw, arrivals: &Poisson, now_s: u64) -> [Counts; 2] {
        let all = arrivals.draw(draw);
        let bad = draw.binomial(all, self.bad_rate(now_s));
        let tries = if let Self::Retries = self { 3 } else { 1 };
        let (good, bad) = (all - bad, bad * tries);
        let (canary_good, canary_bad) = (draw.binomial(good, SHARE), draw.binomial(bad, SHARE));
        [
            Counts::new(canary_good + canary_bad, canary_bad),
            Counts::new(good + bad - canary_good - canary_bad, bad - canary_bad),
        ]
    }
}

/// The greatest ln E that each of `runs` healthy releases ever reaches, plain and restarting.
fn greatest(world: World, runs: u64) -> Vec<[f64; 2]> {
    let arrivals = Poisson::new(8.0);
    let run = |seed| {
        let mut draw = Draw::new(seed);
        let mut plain = OddsTest::new(1.0);
        let mut restarting = Restarting::new(OddsTest::new(1.0));
        let mut greatest = [0.0_f64; 2];
        for now_s in 0..HORIZON_S {
            let [canary, primary] = world.second(&mut draw, &arrivals, now_s);
            plain.add(canary, primary);
            restarting.at(now_s).add(canary, primary);
            if canary.bad > 0 {
                greatest[0] = greatest[0].max(plain.ln_e());
                greatest[1] = greatest[1].max(restarting.ln_e());
            }
        }
        greatest
    };
    (0..runs).map(run).collect()
}

/// Ville's bound at several alphas, with three standard errors of the share of runs.
fn assert_alarms_below_alpha(world: World, runs: u64) {
    let greatest = greatest(world, runs);
    for alpha in [0.5, 0.2, 0.05] {
        let threshold = (1.0_f64 / alpha).ln();
        for which in [0, 1] {
            let alarms = greatest.iter().filter(|ln_es| ln_es[which] >= threshold).count();
            let share = alarms as f64 / runs as f64;
            let error = 3.0 * (alpha * (1.0 - alpha) / runs as f64).sqrt();
            let what = format!("{world:?}, process {which}, seeds 0..{runs}");
            assert!(share <= alpha + error, "{what}: {share} at alpha {alpha}");
        }
    }
    let moved = greatest.iter().filter(|ln_es| ln_es[0] > 0.0 && ln_es[1] > 0.0).count();
    assert!(moved > 0, "{world:?}: no run ever had evidence; the simulation is empty");
}

#[test]
fn healthy_canaries_are_seldom_accused() {
    for world in [World::Steady, World::Drift, World::Outage, World::Retries] {
        assert_alarms_below_alpha(world, 100);
    }
}

#[test]
#[ignore = "a minute: cargo test -p serin-stats --test stats many_healthy -- --ignored"]
fn many_healthy_canaries_are_seldom_accused() {
    for world in [World::Steady, World::Drift, World::Outage, World::Retries] {
        assert_alarms_below_alpha(world, 5000);
    }
}
