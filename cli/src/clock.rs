//! The program's only look at the wall clock: once, at the start. From there on time goes on by itself, so that a clock
//! that is set back or forward by an hour in the middle of a release holds no verdict up, and hurries none.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Wall time that never goes back.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Timestamp,
    began: Instant,
}

impl Clock {
    /// A clock that shows what this machine's clock shows now.
    pub fn start() -> Self {
        Self::from(Timestamp::now())
    }

    /// A clock that shows this now.
    pub(crate) fn from(wall: Timestamp) -> Self {
        Self { wall, began: Instant::now() }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.at(Instant::now())
    }

    /// What it showed at a moment of its life; before, it showed its first time.
    pub fn at(&self, moment: Instant) -> Timestamp {
        let passed = moment.saturating_duration_since(self.began);
        later(self.wall, passed)
    }
}

fn later(time: Timestamp, passed: Duration) -> Timestamp {
    let passed = SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX);
    time.checked_add(passed).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_with_what_passes_whatever_the_wall_shows() {
        let ahead = Timestamp::now() + SignedDuration::from_hours(1);
        let clock = Clock::from(ahead);
        assert_eq!(clock.now(), ahead, "the wall, which is an hour behind, is not asked");
        let moment = Instant::now();
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(clock.now(), ahead + SignedDuration::from_mins(1));
        assert_eq!(clock.at(moment), ahead);
    }

    #[test]
    fn the_end_of_time_is_no_panic() {
        assert_eq!(later(Timestamp::MAX, Duration::MAX), Timestamp::MAX);
    }
}
