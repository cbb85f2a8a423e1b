//! Whether users stay on their side.

use std::{collections::BTreeMap, time::Instant};

use serin_e2e_apps::load::{Outcome, Span};

use super::traffic::Counted;

/// The versions that a user met, by the times at which it asked.
type Met = BTreeMap<String, Span>;

impl Counted {
    /// Users who met a version before `until`: while it was the canary's alone.
    pub fn met(&self, new: &str, until: Instant) -> usize {
        self.users()
            .values()
            .filter(|met| self.first(met, new).is_some_and(|it| it < until))
            .count()
    }

    /// Those of them who met another version after that, with the seconds at which they did.
    pub fn went_back(&self, new: &str, old: &str, until: Instant) -> Vec<(u64, Span)> {
        let back = |met: &Met| {
            let first = self.first(met, new).filter(|it| *it < until)?;
            let old = met.get(old).copied()?;
            (self.at(old.last) > first).then_some(old)
        };
        self.users().iter().filter_map(|(user, met)| Some((*user, back(met)?))).collect()
    }

    /// All users of all loads: one is the same whatever door it comes through.
    pub fn users(&self) -> BTreeMap<u64, Met> {
        let mut users = BTreeMap::<u64, Met>::new();
        for Outcome { user_span_s, .. } in &self.outcomes {
            for (user, met) in user_span_s {
                let known = users.entry(*user).or_default();
                for (version, span) in met {
                    let all = known.entry(version.clone()).or_insert(*span);
                    all.first = all.first.min(span.first);
                    all.last = all.last.max(span.last);
                }
            }
        }
        users
    }

    fn first(&self, met: &Met, version: &str) -> Option<Instant> {
        met.get(version).map(|span| self.at(span.first))
    }
}
