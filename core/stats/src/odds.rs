//! The comparison of two tracks: a grid mixture of conditional likelihood ratios.

use serde::{Deserialize, Serialize};

use crate::restart::{Mixture, sealed};
use crate::tilt::{WIDE, WIDTH};
use crate::{Counts, combine};

/// Evidence that the canary's odds of a bad event exceed `omega0` times the primary's.
///
/// Given the e bad events of a stratum (one second, one route, one weight), chance alone decides how many fall on the
/// canary's share ρ of the units. With the alternatives `g = omega0 · r`, r on 24 points from 1.25 to 400:
/// `E = mean_j Π (g_j/ω0)^k / ((1 − ρ + ρ·g_j)/(1 − ρ + ρ·ω0))^e`.
///
/// With `omega0 = 1` and units assigned at random this holds whatever depends on whatever: the hypergeometric law is
/// smaller in convex order than the binomial (Hoeffding 1963). For `omega0 > 1` it was checked by enumeration,
/// `src/validity.rs`. Strata may come in any order, late or merged from several callers, and the weight may change
/// with every stratum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OddsTest {
    omega0: f64,
    ln_weights: [f64; WIDTH],
}

impl OddsTest {
    /// No evidence yet. `omega0` is the greatest odds ratio not worth a conviction; below 1 (or no number) counts as
    /// 1, since the bound is proven from there on.
    pub fn new(omega0: f64) -> Self {
        let omega0 = if omega0.is_nan() { 1.0 } else { omega0.clamp(1.0, 1e6) };
        Self { omega0, ln_weights: [0.0; WIDTH] }
    }

    /// Adds one stratum. More bad units than exposed ones count as all of them. A stratum without bad units, or with
    /// units on one track only, changes nothing.
    pub fn add(&mut self, canary: Counts, primary: Counts) {
        if canary.exposed == 0 || primary.exposed == 0 {
            return;
        }
        let share = canary.exposed as f64 / (canary.exposed as f64 + primary.exposed as f64);
        let bad = canary.possible_bad().saturating_add(primary.possible_bad());
        self.add_at(canary.possible_bad(), bad, share);
    }

    /// Adds `canary_bad` of `bad` events where the canary had `share` of the units, between 0 and 1. Outside of these
    /// bounds (or no number) nothing is added; more than all events count as all.
    pub fn add_at(&mut self, canary_bad: u64, bad: u64, share: f64) {
        if bad == 0 || !(0.0..=1.0).contains(&share) {
            return;
        }
        let null = share * self.omega0 / (1.0 + share * (self.omega0 - 1.0));
        let ln_norms = WIDE.ln_norms(null);
        WIDE.tilt(&mut self.ln_weights, canary_bad.min(bad), bad, &ln_norms);
    }

    /// The logarithm of the evidence.
    pub fn ln_e(&self) -> f64 {
        combine::ln_mean_exp(&self.ln_weights)
    }
}

impl sealed::Weights for OddsTest {
    fn ln_weights(&self) -> &[f64] {
        &self.ln_weights
    }

    fn ln_weights_mut(&mut self) -> &mut [f64] {
        &mut self.ln_weights
    }
}

impl Mixture for OddsTest {}
