//! Keyed users of one generation and track: how many were at risk, and who failed.
//!
//! A user is a unit, for its requests are not independent: it counts once for each flush in which it asked and had
//! not failed before, and once when it fails.

use crate::tally::cell::add;
use crate::{KeyHash, Keyed, Track};

/// Users that failed, of one generation and VM.
const FAILED_MAX: usize = 2_048;
/// Distinct users of one flush, track and generation.
const FLUSH_MAX: usize = 16_384;
/// Sorting has to pay: no sooner than when there are so many requests of users more.
const SEEN_MAX: usize = 2 * FLUSH_MAX;
/// About how many bytes users take on the wire, and one that failed.
const USERS_BYTES: usize = 64;
const FAILED_BYTES: usize = 20;

/// The users of a run that this VM has seen failing, by whichever track, each with the generation that saw it; sorted
/// by user. Those of older generations are forgotten when there are too many.
#[derive(Debug, Default)]
pub(crate) struct FailedUsers(Vec<(KeyHash, u64)>);

#[derive(Debug, Default)]
pub(crate) struct Users {
    at_risk: u64,
    failed: Vec<KeyHash>,
    overflow: bool,
    /// Seen since the last flush; sorted and rid of doubles only then, or when it is full.
    seen: Vec<KeyHash>,
}

impl Users {
    /// One request of a user that is over, of that generation.
    pub(crate) fn close(
        &mut self,
        key: KeyHash,
        failure: bool,
        generation: u64,
        failed: &mut FailedUsers,
    ) {
        // After an overflow nothing of it is evidence, so nothing is worth the time.
        if self.overflow || failed.holds(key) {
            return;
        }
        self.see(key);
        // One that was forgotten may be among this generation's yet.
        if !failure || self.failed.contains(&key) {
            return;
        }
        if self.failed.len() < FAILED_MAX && failed.insert(key, generation) {
            self.failed.push(key);
        } else {
            self.overflow = true;
        }
    }

    /// About how many bytes they take on the wire.
    pub(crate) fn size(&self) -> usize {
        self.failed.len().saturating_mul(FAILED_BYTES).saturating_add(USERS_BYTES)
    }

    /// Adds the users seen since the last flush; whether that changed anything.
    pub(crate) fn flush(&mut self) -> bool {
        if self.seen.is_empty() {
            return false;
        }
        self.deduplicate();
        add(&mut self.at_risk, self.seen.len().min(FLUSH_MAX) as u64);
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
        if self.seen.len() >= SEEN_MAX {
            self.deduplicate();
        }
        if !self.overflow {
            self.seen.push(key);
        }
    }

    fn deduplicate(&mut self) {
        self.seen.sort_unstable();
        self.seen.dedup();
        self.overflow |= self.seen.len() > FLUSH_MAX;
    }
}

impl FailedUsers {
    fn holds(&self, key: KeyHash) -> bool {
        self.0.binary_search_by_key(&key, |it| it.0).is_ok()
    }

    /// Adds a user; whether there was room for it.
    fn insert(&mut self, key: KeyHash, generation: u64) -> bool {
        if self.0.len() >= FAILED_MAX {
            self.0.retain(|it| it.1 >= generation);
        }
        let room = self.0.len() < FAILED_MAX;
        if let Err(place) = self.0.binary_search_by_key(&key, |it| it.0)
            && room
        {
            self.0.insert(place, (key, generation));
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_at_risk_once_a_flush_until_it_fails() {
        let (mut users, mut failed) = (Users::default(), FailedUsers::default());
        for _ in 0..5 {
            users.close(KeyHash(1), false, 1, &mut failed);
            users.close(KeyHash(2), false, 1, &mut failed);
        }
        users.close(KeyHash(2), true, 1, &mut failed);
        users.close(KeyHash(2), true, 1, &mut failed);
        assert!(users.flush() && !users.flush());
        users.close(KeyHash(1), false, 1, &mut failed);
        users.close(KeyHash(2), false, 1, &mut failed);
        assert!(users.flush());
        let keyed = users.keyed(Track::Canary).unwrap();
        assert_eq!((keyed.at_risk, keyed.overflow), (3, false));
        assert_eq!(keyed.failed, [KeyHash(2)]);
    }

    #[test]
    fn who_failed_before_is_no_news_in_another_generation() {
        let mut failed = FailedUsers::default();
        let (mut first, mut second) = (Users::default(), Users::default());
        first.close(KeyHash(9), true, 1, &mut failed);
        second.close(KeyHash(9), true, 2, &mut failed);
        assert!(first.flush() && !second.flush());
        assert_eq!(second.keyed(Track::Canary), None);
    }

    #[test]
    fn too_many_failed_users_overflow() {
        let (mut users, mut failed) = (Users::default(), FailedUsers::default());
        for user in 0..=FAILED_MAX as u64 {
            assert!(!users.overflow, "{user}");
            users.close(KeyHash(user), true, 1, &mut failed);
        }
        assert!(users.overflow);
        assert_eq!(users.failed.len(), FAILED_MAX);
    }

    #[test]
    fn too_many_users_of_one_flush_overflow_and_known_ones_do_not() {
        let (mut users, mut failed) = (Users::default(), FailedUsers::default());
        for _ in 0..3 {
            for user in 0..FLUSH_MAX as u64 {
                users.close(KeyHash(user), false, 1, &mut failed);
            }
        }
        assert!(users.flush() && !users.overflow);
        for user in 0..=FLUSH_MAX as u64 {
            users.close(KeyHash(user), false, 1, &mut failed);
        }
        assert!(users.flush() && users.overflow);
        assert_eq!(users.keyed(Track::Primary).unwrap().at_risk, 2 * FLUSH_MAX as u64);
    }

    #[test]
    fn nothing_is_kept_after_an_overflow() {
        let (mut users, mut failed) = (Users::default(), FailedUsers::default());
        for user in 0..2 * SEEN_MAX as u64 {
            users.close(KeyHash(user.reverse_bits()), false, 1, &mut failed);
        }
        assert!(users.overflow);
        assert!(users.seen.len() <= SEEN_MAX, "{}", users.seen.len());
        let kept = users.seen.len();
        users.close(KeyHash(1), true, 1, &mut failed);
        assert_eq!((users.seen.len(), users.failed.len()), (kept, 0));
    }

    #[test]
    fn a_user_that_was_forgotten_fails_once_a_generation_all_the_same() {
        let (mut old, mut new) = (Users::default(), Users::default());
        let mut failed = FailedUsers::default();
        old.close(KeyHash(u64::MAX), true, 1, &mut failed);
        for user in 0..FAILED_MAX as u64 {
            new.close(KeyHash(user), true, 2, &mut failed);
        }
        assert!(!new.overflow && !failed.holds(KeyHash(u64::MAX)));
        old.close(KeyHash(u64::MAX), true, 1, &mut failed);
        assert_eq!((&*old.failed, old.overflow), (&[KeyHash(u64::MAX)][..], false));
        old.close(KeyHash(u64::MAX - 1), true, 1, &mut failed);
        assert!(old.overflow, "what is newer is not forgotten for what is older");
    }
}
