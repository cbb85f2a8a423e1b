//! One rate against an objective: is it surely low enough?

use serde::{Deserialize, Serialize};

use crate::Counts;
use crate::combine::ln_mean_exp;
use crate::tilt::inner_probability;

/// The alternatives, as shares of the objective.
const SHARES: [f64; 6] = [0.02, 0.05, 0.1, 0.2, 0.4, 0.6];

/// Evidence that each unit is bad with a probability below `objective`: what lets a release pass.
///
/// A mixture over .02, .05, .1, .2, .4 and .6 of the objective. Two sums are all it needs to keep.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PassTest {
    objective: f64,
    seen: Counts,
}

impl PassTest {
    /// No evidence yet. `objective` is a probability; 0, 1 and what is none are moved to the nearest one inside.
    pub fn new(objective: f64) -> Self {
        Self { objective: inner_probability(objective), seen: Counts::default() }
    }

    /// Adds units; more bad ones than exposed ones count as all.
    pub fn add(&mut self, counts: Counts) {
        self.seen = self.seen.plus(Counts::new(counts.exposed, counts.possible_bad()));
    }

    /// The logarithm of the evidence.
    pub fn ln_e(&self) -> f64 {
        self.ln_e_after(0)
    }

    /// How many more good units, and no bad one, bring the evidence to `ln_threshold`: 0 if it is there, none if
    /// 2^52 are not enough.
    pub fn good_units_to(&self, ln_threshold: f64) -> Option<u64> {
        let (mut too_few, mut enough) = (0_u64, 1_u64 << 52);
        if self.ln_e() >= ln_threshold {
            return Some(0);
        }
        if ln_threshold.is_nan() || self.ln_e_after(enough) < ln_threshold {
            return None;
        }
        while enough.saturating_sub(too_few) > 1 {
            let middle = too_few.midpoint(enough);
            if self.ln_e_after(middle) < ln_threshold { too_few = middle } else { enough = middle }
        }
        Some(enough)
    }

    fn ln_e_after(&self, more_good: u64) -> f64 {
        let bad = self.seen.possible_bad() as f64;
        let good = self.seen.exposed as f64 - bad + more_good as f64;
        let ln_factors = SHARES.map(|share| {
            let ln_good = (-share * self.objective).ln_1p() - (-self.objective).ln_1p();
            bad * share.ln() + good * ln_good
        });
        ln_mean_exp(&ln_factors)
    }
}
