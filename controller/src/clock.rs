//! The controller's only look at a clock. The wall's, for what is compared stands in statuses that other processes have
//! written and will read.

use jiff::Timestamp;

/// The time.
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
