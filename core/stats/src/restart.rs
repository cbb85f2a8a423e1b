//! A test that stays alert to faults which begin late: a leak, a cache that expires, a cron job.

use serde::{Deserialize, Serialize};

use crate::combine::{ln_add_exp, ln_mean_exp};

/// Seconds between two starts.
const EVERY_S: u64 = 60;
/// Starts after the first one: one each minute of the first half hour.
const RESTARTS: u32 = 29;
/// The part of the initial capital that is bet from the start on.
const FIRST: f64 = 0.5;

/// A test that is a mixture over alternatives, so that capital can be added while it runs. Only the tests of this
/// crate are.
pub trait Mixture: sealed::Weights {}

pub(crate) mod sealed {
    pub trait Weights {
        fn ln_weights(&self) -> &[f64];
        fn ln_weights_mut(&mut self) -> &mut [f64];
    }
}

/// A test in which half of the capital is bet at once and the rest in equal parts at the end of each of the first 29
/// minutes.
///
/// A plain test loses capital while the canary is good and must first win it back. Here each start is an e-process of
/// its own and their shares sum to one, so the sum is one too. When the half hour is over nothing is held back any
/// more: it goes on as a plain test with the capital it has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Restarting<T> {
    test: T,
    restarts: u32,
}

impl<T: Mixture> Restarting<T> {
    /// Starts `test`, which should hold no evidence yet.
    pub fn new(mut test: T) -> Self {
        for weight in test.ln_weights_mut() {
            *weight += FIRST.ln();
        }
        Self { test, restarts: 0 }
    }

    /// The test as it stands `now_s` seconds after its start: what is added now goes there. Time that goes back counts
    /// as no time; where nothing is added in between, one call makes up for all those left out.
    pub fn at(&mut self, now_s: u64) -> &mut T {
        let due = u32::try_from(now_s / EVERY_S).unwrap_or(u32::MAX).min(RESTARTS);
        if due > self.restarts {
            let ln_capital =
                (Self::per_restart() * f64::from(due.saturating_sub(self.restarts))).ln();
            for weight in self.test.ln_weights_mut() {
                *weight = ln_add_exp(*weight, ln_capital);
            }
            self.restarts = due;
        }
        &mut self.test
    }

    /// The logarithm of the evidence.
    pub fn ln_e(&self) -> f64 {
        let reserve = Self::per_restart() * f64::from(RESTARTS.saturating_sub(self.restarts));
        ln_add_exp(ln_mean_exp(self.test.ln_weights()), reserve.ln())
    }

    fn per_restart() -> f64 {
        (1.0 - FIRST) / f64::from(RESTARTS)
    }
}
