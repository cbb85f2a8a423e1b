//! Whether this process is alive, and whether it is of use. It is alive as long as its loop turns, whatever the API
//! server does: a restart mends no network.

use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The loop turns every two seconds, or a call holds it up for a few more.
const STILL_MAX: Duration = Duration::from_mins(1);
/// A follower hears of each renewal; where there is none for a lease's duration, it writes.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// What was seen of both.
#[derive(Debug, Default)]
pub struct Health(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// When the loop turned last; none where no loop is.
    beat: Option<Instant>,
    reached: Option<Instant>,
    failure: Option<String>,
}

impl Health {
    /// The loop turns.
    pub(crate) fn beat(&self) {
        self.seen().beat = Some(Instant::now());
    }

    /// The API server has answered.
    pub(crate) fn reached(&self) {
        let mut seen = self.seen();
        seen.reached = Some(Instant::now());
        if let Some(failure) = seen.failure.take() {
            tracing::info!(after = failure, "the API server answers again");
        }
    }

    /// It has not, or not well. Told when it is new.
    pub(crate) fn failed(&self, error: &impl Display) {
        let (error, mut seen) = (error.to_string(), self.seen());
        if seen.failure.as_ref() != Some(&error) {
            tracing::warn!(error, "the lease cannot be held");
            seen.failure = Some(error);
        }
    }

    /// Why a restart would help, if it would.
    pub fn alive(&self) -> Result<(), String> {
        let Some(beat) = self.seen().beat else { return Ok(()) };
        let still = beat.elapsed();
        if still <= STILL_MAX {
            return Ok(());
        }
        Err(format!("the lease's loop has not turned for {} s", still.as_secs()))
    }

    /// Why nothing should be expected of it, if so.
    pub fn ready(&self) -> Result<(), String> {
        let seen = self.seen();
        let why = || seen.failure.as_deref().unwrap_or("it has not answered");
        let Some(reached) = seen.reached else {
            return Err(format!("the API server was not reached yet: {}", why()));
        };
        if seen.beat.is_none() || reached.elapsed() <= SILENCE_MAX {
            return Ok(());
        }
        let silence = reached.elapsed().as_secs();
        Err(format!("the API server was not reached for {silence} s: {}", why()))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn a_silent_api_server_makes_it_unready_and_a_still_loop_dead() {
        let health = Health::default();
        assert_eq!(health.alive(), Ok(()));
        assert!(health.ready().unwrap_err().contains("not reached yet"));
        health.beat();
        health.reached();
        assert_eq!((health.alive(), health.ready()), (Ok(()), Ok(())));
        health.failed(&"connection refused");
        advance(SILENCE_MAX + Duration::from_secs(1)).await;
        let why = health.ready().unwrap_err();
        assert!(why.contains("for 21 s: connection refused"), "{why}");
        assert_eq!(health.alive(), Ok(()));
        advance(STILL_MAX).await;
        assert!(health.alive().unwrap_err().contains("has not turned for 81 s"));
        health.beat();
        health.reached();
        assert_eq!((health.alive(), health.ready()), (Ok(()), Ok(())));
    }

    /// Alone there is no loop, and an idle cluster is not asked for its health.
    #[tokio::test(start_paused = true)]
    async fn without_a_lease_it_stays_ready_once_the_api_server_was_reached() {
        let health = Health::default();
        health.reached();
        advance(10 * STILL_MAX).await;
        assert_eq!((health.alive(), health.ready()), (Ok(()), Ok(())));
    }
}
