//! The algebra that all tests share: a binomial null, tilted by odds ratios on a logarithmic grid.
//!
//! Of `trials` units each is a success with odds at most those of `null`. Tilting these odds by r multiplies the
//! likelihood by `r^successes / (1 − null + null·r)^trials`, which is at most 1 on average under the null if r > 1.

use std::sync::LazyLock;

/// Odds ratios r of a mixture, with their logarithms.
pub(crate) struct Grid<const J: usize> {
    pub(crate) ln_ratio: [f64; J],
    /// r − 1, for `ln_1p`.
    pub(crate) excess: [f64; J],
}

/// Ratios of [`WIDE`].
pub(crate) const WIDTH: usize = 24;

/// Ratios of the comparison: 24 from 1.25 to 400.
pub(crate) static WIDE: LazyLock<Grid<WIDTH>> = LazyLock::new(|| Grid::new(1.25, 400.0));
/// Ratios of the one-sample tests: 16 from 1.5 to 400.
pub(crate) static NARROW: LazyLock<Grid<16>> = LazyLock::new(|| Grid::new(1.5, 400.0));

impl<const J: usize> Grid<J> {
    fn new(first: f64, last: f64) -> Self {
        let (first, last) = (first.ln(), last.ln());
        let ln_ratio = std::array::from_fn(|j| {
            first + (last - first) * j as f64 / J.saturating_sub(1).max(1) as f64
        });
        Self { ln_ratio, excess: ln_ratio.map(f64::exp_m1) }
    }

    /// The logarithm of `1 − null + null·r` for each ratio.
    pub(crate) fn ln_norms(&self, null: f64) -> [f64; J] {
        self.excess.map(|excess| (null * excess).ln_1p())
    }

    /// Multiplies each weight by its likelihood ratio.
    pub(crate) fn tilt(
        &self,
        ln_weights: &mut [f64; J],
        successes: u64,
        trials: u64,
        ln_norms: &[f64; J],
    ) {
        let (successes, trials) = (successes as f64, trials as f64);
        for ((weight, ln_ratio), ln_norm) in ln_weights.iter_mut().zip(&self.ln_ratio).zip(ln_norms)
        {
            *weight += successes * ln_ratio - trials * ln_norm;
        }
    }
}

/// A probability that is neither 0 nor 1, so that every logarithm is finite. What is no number counts as 0.
pub(crate) fn inner_probability(value: f64) -> f64 {
    if value.is_nan() { 1e-9 } else { value.clamp(1e-9, 1.0 - 1e-9) }
}
