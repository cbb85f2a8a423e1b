//! What a version does with a request.

use super::dice::{Dice, milliseconds};

/// How one version behaves.
#[derive(Clone, Copy, Debug)]
pub struct Behaviour {
    /// The probability that a request fails.
    pub errors: f64,
    /// Milliseconds added to every request.
    pub slower_ms: f64,
    /// The first so many users fail half of their requests, whatever serves them.
    pub cursed: u32,
}

impl Behaviour {
    /// One failure in a thousand, median latency 50 ms.
    pub const fn good() -> Self {
        Self { errors: 0.001, slower_ms: 0.0, cursed: 0 }
    }

    /// The same, failing so often.
    #[must_use]
    pub const fn failing(errors: f64) -> Self {
        Self { errors, ..Self::good() }
    }

    /// The same, so much slower.
    #[must_use]
    pub const fn slower(slower_ms: f64) -> Self {
        Self { slower_ms, ..Self::good() }
    }

    /// Whether a request fails, and its latency in milliseconds: log-normal, median 50 ms, sigma 0.6.
    pub(super) fn serve(&self, user: Option<u32>, dice: &mut Dice) -> (bool, u64) {
        let cursed = user.is_some_and(|user| user < self.cursed);
        let failed = dice.chance(if cursed { 0.5 } else { self.errors });
        let latency = 50.0 * (0.6 * dice.normal()).exp() + self.slower_ms;
        (failed, milliseconds(latency))
    }
}
