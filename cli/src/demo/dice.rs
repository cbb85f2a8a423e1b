//! Chance that can be repeated: the same seed gives the same demo, as far as a running system allows.

use std::sync::atomic::{AtomicU64, Ordering};

/// `SplitMix64` (Steele, Lea, Flood 2014), shared without a lock.
#[derive(Debug)]
pub(crate) struct Dice(AtomicU64);

/// The odd number nearest to 2^64 divided by the golden ratio.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// Any number.
    pub(crate) fn roll(&self) -> u64 {
        let state = self.0.fetch_add(GAMMA, Ordering::Relaxed).wrapping_add(GAMMA);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// At least 0 and below 1.
    pub(crate) fn fraction(&self) -> f64 {
        (self.roll() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with a probability.
    pub(crate) fn chance(&self, probability: f64) -> bool {
        self.fraction() < probability
    }

    /// Below `count`, which is at least 1.
    pub(crate) fn below(&self, count: u64) -> u64 {
        self.roll() % count.max(1)
    }

    /// Exponentially distributed with mean 1: the time between two events that know nothing of each other.
    pub(crate) fn exponential(&self) -> f64 {
        -(1.0 - self.fraction()).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_splitmix64() {
        let dice = Dice::new(1_234_567);
        let rolls = [dice.roll(), dice.roll(), dice.roll()];
        let published =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(rolls, published);
    }

    #[test]
    fn waits_are_one_on_average() {
        let dice = Dice::new(7);
        let sum: f64 = (0..10_000).map(|_| dice.exponential()).sum();
        assert!((9_600.0..10_400.0).contains(&sum), "{sum}");
    }
}
