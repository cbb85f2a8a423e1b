//! The verdict's process of one metric.

use serde::{Deserialize, Serialize};

use crate::{Counts, OddsTest, RateTest, Restarting};

/// Evidence that the canary is worse than the primary *and* worse than a floor.
///
/// The smaller of two restarting tests, [`OddsTest`] and [`RateTest`]: which of the two nulls holds does not matter,
/// each bounds it. A floor keeps ten failures in a million from convicting against one in a million.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    relative: Restarting<OddsTest>,
    absolute: Restarting<RateTest>,
}

impl Comparison {
    /// No evidence yet. `omega0` is the greatest odds ratio, `floor` the greatest rate not worth a conviction; both
    /// are bounded as in [`OddsTest::new`] and [`RateTest::new`].
    pub fn new(omega0: f64, floor: f64) -> Self {
        Self {
            relative: Restarting::new(OddsTest::new(omega0)),
            absolute: Restarting::new(RateTest::new(floor)),
        }
    }

    /// Adds one stratum: what both tracks did on one route under one weight in the tick at `now_s` seconds since the
    /// start. Strata of one tick may come in any order; an empty one costs nothing. Only units whose track was drawn
    /// at random belong here.
    pub fn add(&mut self, now_s: u64, canary: Counts, primary: Counts) {
        if canary.exposed == 0 {
            return;
        }
        self.absolute.at(now_s).add(canary);
        if canary.bad > 0 || primary.bad > 0 {
            self.relative.at(now_s).add(canary, primary);
        }
    }

    /// The logarithm of the evidence.
    pub fn ln_e(&self) -> f64 {
        self.ln_e_relative().min(self.ln_e_absolute())
    }

    /// The logarithm of the evidence that the canary is worse than the primary.
    pub fn ln_e_relative(&self) -> f64 {
        self.relative.ln_e()
    }

    /// The logarithm of the evidence that the canary is worse than the floor.
    pub fn ln_e_absolute(&self) -> f64 {
        self.absolute.ln_e()
    }
}
