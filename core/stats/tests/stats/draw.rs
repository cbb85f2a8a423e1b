//! Seeded draws: `SplitMix64`, and Poisson counts by inversion from a table.

pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Successes of `trials` draws with probability `p`.
    pub(crate) fn binomial(&mut self, trials: u64, p: f64) -> u64 {
        (0..trials).filter(|_| self.unit() < p).count() as u64
    }
}

/// The cumulative law of a Poisson count.
pub(crate) struct Poisson(Vec<f64>);

impl Poisson {
    pub(crate) fn new(mean: f64) -> Self {
        let last = (mean + 12.0 * mean.sqrt() + 20.0) as u32;
        let (mut ln_term, mut sum) = (-mean, 0.0);
        let cumulative = (0..last).map(|k| {
            if k > 0 {
                ln_term += mean.ln() - f64::from(k).ln();
            }
            sum += ln_term.exp();
            sum
        });
        Self(cumulative.collect())
    }

    pub(crate) fn draw(&self, draw: &mut Draw) -> u64 {
        let unit = draw.unit();
        self.0.partition_point(|&below| below <= unit) as u64
    }
}

/// One track's traffic: good and bad units are independent Poisson counts of each second.
pub(crate) struct Track {
    good: Poisson,
    bad: Poisson,
}

impl Track {
    pub(crate) fn new(per_second: f64, bad_rate: f64) -> Self {
        let bad = per_second * bad_rate;
        Self { good: Poisson::new(per_second - bad), bad: Poisson::new(bad) }
    }

    pub(crate) fn second(&self, draw: &mut Draw) -> serin_stats::Counts {
        let bad = self.bad.draw(draw);
        serin_stats::Counts::new(bad + self.good.draw(draw), bad)
    }
}
