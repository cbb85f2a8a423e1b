//! What one track did in one stratum.

use serde::{Deserialize, Serialize};

/// Units exposed and, of these, bad ones: requests and failures, or users and failing users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Counts {
    /// Units that could have been bad.
    pub exposed: u64,
    /// Units that were bad. More than were exposed count as all of them.
    pub bad: u64,
}

impl Counts {
    /// `bad` of `exposed` units.
    pub const fn new(exposed: u64, bad: u64) -> Self {
        Self { exposed, bad }
    }

    /// The share of bad units; none where nothing was exposed.
    pub fn rate(self) -> Option<f64> {
        (self.exposed > 0).then(|| self.possible_bad() as f64 / self.exposed as f64)
    }

    /// Both together. Only counts of one stratum may be added: pooled totals compare different hours.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            exposed: self.exposed.saturating_add(other.exposed),
            bad: self.bad.saturating_add(other.bad),
        }
    }

    /// Bad units, at most all.
    pub(crate) fn possible_bad(self) -> u64 {
        self.bad.min(self.exposed)
    }
}
