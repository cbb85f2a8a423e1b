//! When a scope's filters are given another config although no rollout has changed: some of them report no longer, and
//! a changed config starts a VM anew that has failed.
//!
//! A config goes to all proxies of the scope, so it is changed seldom, and ever more seldom where that does not help.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

/// Between two changes. Who is revived has reported by then.
const PAUSE: SignedDuration = SignedDuration::from_mins(1);
const PAUSE_MAX: SignedDuration = SignedDuration::from_hours(1);
/// Doublings from the one to the other.
const DOUBLINGS_MAX: u32 = 6;

/// All scopes, by name.
#[derive(Debug, Default)]
pub(super) struct Revivals(BTreeMap<String, Revival>);

#[derive(Debug, Default)]
struct Revival {
    /// What the config says.
    count: u64,
    /// It is to be raised with the next write.
    due: bool,
    /// Changes in a row that have not helped yet.
    vain: u32,
    /// Not before.
    next: Option<Timestamp>,
}

impl Revivals {
    /// Decides, from the scopes with filters that are missing. Whether there is something to write.
    pub(super) fn decide(&mut self, missing: &BTreeSet<String>, now: Timestamp) -> bool {
        for (scope, revival) in &mut self.0 {
            if !missing.contains(scope) && revival.may(now) {
                revival.vain = 0;
            }
        }
        for scope in missing {
            let revival = self.0.entry(scope.clone()).or_default();
            if revival.may(now) {
                let pause = PAUSE * 2_i32.pow(revival.vain.min(DOUBLINGS_MAX));
                revival.next = now.checked_add(pause.min(PAUSE_MAX)).ok();
                revival.vain = revival.vain.saturating_add(1);
                revival.due = true;
            }
        }
        self.0.values().any(|it| it.due)
    }

    /// What a scope's config should say. `written` is what it says: a former leader may have counted further.
    pub(super) fn of(&mut self, scope: &str, written: u64) -> u64 {
        let Some(revival) = self.0.get_mut(scope) else { return written };
        revival.count = revival.count.max(written);
        if std::mem::take(&mut revival.due) {
            revival.count = revival.count.saturating_add(1);
            tracing::warn!(
                scope,
                revived = revival.count,
                "filters have fallen silent; their table is written anew"
            );
        }
        revival.count
    }
}

impl Revival {
    fn may(&self, now: Timestamp) -> bool {
        self.next.is_none_or(|next| now >= next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn times(seconds: impl Iterator<Item = i64>, missing: impl Fn(i64) -> bool) -> Vec<i64> {
        let mut revivals = Revivals::default();
        let mut counted = 0;
        let mut changed = Vec::new();
        for at in seconds {
            let scopes = missing(at).then(|| "mesh".to_owned()).into_iter().collect();
            revivals.decide(&scopes, second(at));
            let count = revivals.of("mesh", counted);
            if count != counted {
                changed.push(at);
            }
            counted = count;
        }
        changed
    }

    #[test]
    fn a_scope_is_told_at_once_and_ever_more_seldom_while_that_does_not_help() {
        let changed = times((0..10_000).step_by(5), |_| true);
        assert_eq!(changed, [0, 60, 180, 420, 900, 1860, 3780, 7380]);
    }

    #[test]
    fn who_falls_silent_again_is_told_as_soon_and_never_twice_a_minute() {
        assert_eq!(times((0..1000).step_by(5), |at| at % 200 == 0), [0, 200, 400, 600, 800]);
        let often = times((0..300).step_by(5), |at| at % 20 == 0);
        assert_eq!(often, [0, 60, 180]);
    }

    #[test]
    fn what_a_former_leader_has_written_is_raised_and_nobody_else_is_told() {
        let mut revivals = Revivals::default();
        assert_eq!(revivals.of("mesh", 3), 3);
        assert!(revivals.decide(&["mesh".to_owned()].into(), second(0)));
        assert_eq!(revivals.of("mesh", 3), 4);
        // It could not be written.
        assert_eq!(revivals.of("mesh", 3), 4);
        assert_eq!(revivals.of("namespace/prod", 0), 0);
        assert!(!revivals.decide(&["mesh".to_owned()].into(), second(30)));
    }
}
