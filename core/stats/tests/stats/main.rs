//! Proofs of the statistics: published numbers, an independent reference, exact enumeration, simulation.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and delays in tests are small"
)]

mod delays;
mod draw;
mod false_alarms;
mod latency;
mod properties;
mod published;
mod reference;
