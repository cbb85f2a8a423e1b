//! Are these two samples different?
//!
//! Sequential tests that may be looked at after every request without losing their guarantee. Each keeps an
//! *e-process* E: evidence against a null hypothesis that starts at 1 and, while the hypothesis holds, is at most 1 on
//! average whenever one stops. So the chance that a harmless change ever reaches E ≥ 1/α is at most α (Ville). All
//! evidence here is the natural logarithm of E.
//!
//! - [`OddsTest`]: is the canary's odds of a bad event higher than `omega0` times the primary's?
//! - [`RateTest`], [`PassTest`]: is a rate above, or below, an objective?
//! - [`Restarting`]: either test, kept alert to faults that begin late.
//! - [`Comparison`]: the verdict's process of one metric: worse than primary *and* above a floor.
//! - [`Capped`]: what no single burst may decide.
//! - [`mean_ln`], [`weighted_ln`]: several processes as one.
//! - [`proportion_interval`], [`odds_ratio_interval`]: what to show to people.
//!
//! Nothing here knows of rollouts, reads a clock or draws a random number; time is an argument, in seconds since the
//! evidence began. Counts that contradict themselves are clamped, never an error, and no result is ever NaN.
//!
//! ```
//! use serin_stats::{Comparison, Counts};
//!
//! let mut errors = Comparison::new(1.5, 0.001);
//! for second in 0..5 {
//!     errors.add(second, Counts::new(5, 2), Counts::new(95, 0));
//! }
//! assert!(errors.ln_e() > 1000_f64.ln());
//! ```

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test"))]

mod capped;
mod combine;
mod comparison;
mod counts;
mod interval;
mod odds;
mod pass;
mod rate;
mod restart;
mod tilt;
#[cfg(test)]
mod validity;

pub use capped::{Capped, cap};
pub use combine::{mean_ln, weighted_ln};
pub use comparison::Comparison;
pub use counts::Counts;
pub use interval::{Interval, odds_ratio_interval, proportion_interval};
pub use odds::OddsTest;
pub use pass::PassTest;
pub use rate::RateTest;
pub use restart::{Mixture, Restarting};
