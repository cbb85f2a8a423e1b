//! One rate against an objective: is it too high?

use serde::{Deserialize, Serialize};

use crate::restart::{Mixture, sealed};
use crate::tilt::{NARROW, inner_probability};
use crate::{Counts, combine};

const J: usize = 16;

/// Evidence that each unit is bad with a probability above `limit`.
///
/// A mixture over 16 alternatives whose odds are 1.5 to 400 times those of the limit. It serves as the floor under a
/// comparison and, with an objective as the limit, as the test that the objective is breached. It assumes that a unit
/// is bad with at most that probability given all units before it, so one user's requests must count once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Persisted", into = "Persisted")]
pub struct RateTest {
    limit: f64,
    ln_weights: [f64; J],
    ln_norms: [f64; J],
}

impl RateTest {
    /// No evidence yet. `limit` is a probability; 0, 1 and what is none are moved to the nearest one inside.
    pub fn new(limit: f64) -> Self {
        Self::from(Persisted { limit, ln_weights: [0.0; J] })
    }

    /// Adds units; more bad ones than exposed ones count as all.
    pub fn add(&mut self, counts: Counts) {
        if counts.exposed > 0 {
            let bad = counts.possible_bad();
            NARROW.tilt(&mut self.ln_weights, bad, counts.exposed, &self.ln_norms);
        }
    }

    /// The logarithm of the evidence.
    pub fn ln_e(&self) -> f64 {
        combine::ln_mean_exp(&self.ln_weights)
    }
}

impl sealed::Weights for RateTest {
    fn ln_weights(&self) -> &[f64] {
        &self.ln_weights
    }

    fn ln_weights_mut(&mut self) -> &mut [f64] {
        &mut self.ln_weights
    }
}

impl Mixture for RateTest {}

/// A test without its table, which follows from the limit.
#[derive(Serialize, Deserialize)]
struct Persisted {
    limit: f64,
    ln_weights: [f64; J],
}

impl From<Persisted> for RateTest {
    fn from(Persisted { limit, ln_weights }: Persisted) -> Self {
        let limit = inner_probability(limit);
        Self { limit, ln_weights, ln_norms: NARROW.ln_norms(limit) }
    }
}

impl From<RateTest> for Persisted {
    fn from(RateTest { limit, ln_weights, .. }: RateTest) -> Self {
        Self { limit, ln_weights }
    }
}
