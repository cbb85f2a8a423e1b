//! Keyed users of one generation and track: how many were at risk, and who failed.
//!
//! A user is a unit, for its requests are not independent: it counts once for each flush in which it asked and had
//! not failed before, and once when it fails.

use crate::tally::cell::add;
use crate::{KeyHash, Keyed, Track};

/// Users that failed, of one run and VM.
const FAILED_MAX: usize = 2_048;
/// Distinct users of one flush, track and generation.
const FLUSH_MAX: usize = 8_192;

/// The users of a run that this VM has seen failing, by whichever track; sorted.
#[derive(Debug, Default)]
pub(crate) struct FailedUsers(Vec<KeyHash>);

#[derive(Debug, Default)]
pub(crate) struct Users {
    at_risk: u64,
    failed: Vec<KeyHash>,
    overflow: bool,
    /// Seen since the last flush; sorted and rid of doubles only then, or when it is full.
    seen: Vec<KeyHash>,
}

impl Users {
    /// One request of a user that is over.
    pub(crate) fn close(&mut self, key: KeyHash, failure: bool, failed: &mut FailedUsers) {
        let Err(place) = failed.0.binary_search(&key) else { return };
        self.see(key);
        if !failure {
            return;
        }
        if failed.0.len() >= FAILED_MAX {
            self.overflow = true;
        } else {
            failed.0.insert(place, key);
            self.failed.push(key);
        }
    }

    /// Adds the users seen since the last flush; whether that changed anything.
    pub(crate) fn flush(&mut self) -> bool {
        if self.seen.is_empty() {
            return false;
        }
        self.deduplicate();
        add(&mut self.at_risk, self.seen.len() as u64);
        self.seen.clear();
        true
    }

    /// As reports carry it; none without users.
    pub(crate) fn keyed(&self, track: Track) -> Option<Keyed> {
        if self.at_risk == 0 && self.failed.is_empty() && !self.overflow {
            return None;
        }
        let Self { at_risk, ref failed, overflow, .. } = *self;
        Some(Keyed { track, at_risk, failed: failed.clone(), overflow })
    }

    fn see(&mut self, key: KeyHash) {
        if self.seen.len() >= FLUSH_MAX {
            self.deduplicate();
        }
        if self.seen.len() < FLUSH_MAX {
            self.seen.push(key);
        } else if self.seen.binary_search(&key).is_err() {
            self.overflow = true;
        }
    }

    fn deduplicate(&mut self) {
        self.seen.sort_unstable();
        self.seen.dedup();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_at_risk_once_a_flush_until_it_fails() {
        let (mut users, mut failed) = (Users::default(), FailedUsers::default());
        for _ in 0..5 {
            users.close(KeyHash(1), false, &mut failed);
            users.close(KeyHash(2), false, &mut failed);
        }
        users.close(KeyHash(2), true, &mut failed);
        users.close(KeyHash(2), true, &mut failed);
        assert!(users.flush() && !users.flush());
        users.close(KeyHash(1), false, &mut failed);
        users.close(KeyHash(2), false, &mut failed);
        assert!(users.flush());
        let keyed = users.keyed(Track::Canary).unwrap();
        assert_eq!((keyed.at_risk, keyed.overflow), (3, false));
        assert_eq!(keyed.failed, [KeyHash(2)]);
    }

    #[test]
    fn who_failed_before_is_no_news_in_another_generation() {
        let mut failed = FailedUsers::default();
        let (mut first, mut second) = (Users::default(), Users::default());
        first.close(KeyHash(9), true, &mut failed);
        second.close(KeyHash(9), true, &mut failed);
        assert!(first.flush() && !second.flush());
        assert_eq!(second.keyed(Track::Canary), None);
    }

    #[test]
    fn too_many_failed_users_overflow() {
        let (mut users, mut failed) = (Users::default(), FailedUsers::default());
        for user in 0..=FAILED_MAX as u64 {
            assert!(!users.overflow, "{user}");
            users.close(KeyHash(user), true, &mut failed);
        }
        assert!(users.overflow);
        assert_eq!(users.failed.len(), FAILED_MAX);
    }

    #[test]
    fn too_many_users_of_one_flush_overflow_and_known_ones_do_not() {
        let (mut users, mut failed) = (Users::default(), FailedUsers::default());
        for _ in 0..3 {
            for user in 0..FLUSH_MAX as u64 {
                users.close(KeyHash(user), false, &mut failed);
            }
        }
        assert!(!users.overflow);
        users.close(KeyHash(u64::MAX), false, &mut failed);
        users.close(KeyHash(0), false, &mut failed);
        assert!(users.overflow && users.flush());
        assert_eq!(users.keyed(Track::Primary).unwrap().at_risk, FLUSH_MAX as u64);
    }
}
