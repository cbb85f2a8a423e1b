//! Shares of traffic in basis points.

use serde::{Deserialize, Serialize};

/// A share of traffic in basis points: 0 is nothing, 10 000 is everything.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "u16", into = "u16")]
pub struct Weight(u16);

/// A weight above 10 000 basis points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightError(pub u16);

impl Weight {
    /// No traffic.
    pub const ZERO: Self = Self(0);
    /// All traffic.
    pub const FULL: Self = Self(10_000);

    /// A weight from basis points, at most 10 000.
    pub const fn from_basis_points(basis_points: u16) -> Result<Self, WeightError> {
        if basis_points <= Self::FULL.0 {
            Ok(Self(basis_points))
        } else {
            Err(WeightError(basis_points))
        }
    }

    /// A weight from whole percent; more than 100 means 100.
    pub const fn from_percent(percent: u8) -> Self {
        if percent >= 100 { Self::FULL } else { Self((percent as u16).saturating_mul(100)) }
    }

    /// The weight in basis points.
    pub const fn basis_points(self) -> u16 {
        self.0
    }

    /// The weight as a fraction of one.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(Self::FULL.0)
    }
}

impl TryFrom<u16> for Weight {
    type Error = WeightError;

    fn try_from(basis_points: u16) -> Result<Self, WeightError> {
        Self::from_basis_points(basis_points)
    }
}

impl From<Weight> for u16 {
    fn from(weight: Weight) -> Self {
        weight.0
    }
}

impl std::fmt::Display for Weight {
    /// Percent, with only the decimals it needs: `10%`, `2.5%`, `0.01%`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}%", f64::from(self.0) / 100.0)
    }
}

impl std::fmt::Display for WeightError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a weight is at most 10000 basis points, not {}", self.0)
    }
}

impl std::error::Error for WeightError {}
