//! The controller's only look at a clock. The wall's, for what is compared stands in statuses that other processes have
//! written and will read; a steady one for the lease, whose holders compare nothing but spans.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// The time.
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// A clock that nobody sets: it begins at the wall's time and then only runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steady {
    wall: Timestamp,
    began: Instant,
}

impl Steady {
    pub(crate) fn start() -> Self {
        Self { wall: now(), began: Instant::now() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let run = SignedDuration::try_from(self.began.elapsed()).unwrap_or(SignedDuration::MAX);
        self.wall.saturating_add(run).unwrap_or(Timestamp::MAX)
    }

    /// When it will show that time.
    pub(crate) fn instant(&self, time: Timestamp) -> Instant {
        let until = time.duration_since(self.wall).unsigned_abs();
        if time > self.wall { self.began + until } else { self.began }
    }
}
