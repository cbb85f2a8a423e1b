//! Spans between two timestamps that somebody else has read.

use std::time::Duration;

use jiff::Timestamp;

/// The time from `then` to `now`; none if the clock went back.
pub(crate) fn since(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or(Duration::ZERO)
}

/// What is left of `span`, which began at `then`.
pub(crate) fn left(span: Duration, then: Timestamp, now: Timestamp) -> Duration {
    span.saturating_sub(since(then, now))
}
