//! The world follows the status: the projection is computed from nothing else, and written if Envoy shows another.

use std::time::Duration;

use jiff::Timestamp;
use serin_rollout::{Desired, desired};

use super::Release;
use super::engine::Engine;
use crate::envoy::Projection;

/// A VM that is silent for so long has lost its filter: every one reports each second.
const SILENCE: Duration = Duration::from_secs(10);

/// A generation that Envoy was told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Applied {
    pub(super) generation: u64,
    pub(super) at: Timestamp,
}

impl Engine<'_> {
    /// Tells Envoy what the status wants.
    pub(super) fn apply(&mut self, now: Timestamp) {
        let target = self.projection();
        if *self.world.shown() != target {
            if let Err(error) = self.world.show(&target) {
                let text = format!("cannot write Envoy's configuration: {error}; trying again");
                self.warn_once(now, text);
                if target.gives_less_than(self.world.shown()) {
                    self.go_back(now);
                }
                return;
            }
            self.told_at = now;
        }
        let generation = self.status.run.as_ref().map_or(0, |run| run.generation);
        if self.applied.is_none_or(|applied| applied.generation != generation) {
            self.applied = Some(Applied { generation, at: now });
        }
    }

    /// What gives the canary less must not wait until it can be written.
    fn go_back(&mut self, now: Timestamp) {
        let text = match self.world.go_back() {
            Ok(()) => {
                self.told_at = now;
                "all traffic goes to primary, by files that were prepared for it".to_owned()
            }
            Err(error) => format!("the canary keeps its traffic, Envoy cannot be told: {error}"),
        };
        self.warn_once(now, text);
    }

    /// A filter that broke down in one VM is brought back by a configuration that reads the same and looks new.
    pub(super) fn revive(&mut self, now: Timestamp) {
        let silent = self.expects_reports_for(now) >= SILENCE
            && self.heard_any
            && self.book.traffic(now).heard < self.world.envoy.vms();
        if silent {
            self.revivals += 1;
            let text = "a worker of Envoy stopped reporting; its filter is started anew";
            self.warn_once(now, text.to_owned());
            self.apply(now);
        }
    }

    /// For how long each VM should have reported every second: without a rollout they say what they know, once.
    pub(super) fn expects_reports_for(&self, now: Timestamp) -> Duration {
        if self.world.shown().table.rollouts.is_empty() {
            return Duration::ZERO;
        }
        now.duration_since(self.told_at).unsigned_abs()
    }

    /// What Envoy should show.
    pub(super) fn projection(&self) -> Projection {
        let desired = desired(&self.release.plan, &self.status);
        let nonce = self.status.run.as_ref().map(|run| run.nonce.as_str());
        let mut projection = project(self.world.shown(), self.release, desired, nonce);
        projection.revivals = self.revivals;
        projection
    }
}

fn project(
    shown: &Projection,
    release: &Release,
    desired: Desired,
    nonce: Option<&str>,
) -> Projection {
    let mut projection = shown.clone();
    let promoted = desired.primary_revision.as_ref() == Some(&release.revision);
    for service in &mut projection.services {
        service.primary.clone_from(if promoted { &release.canary } else { &release.primary });
        service.canary.clone_from(&release.canary);
        service.steering = nonce.filter(|_| desired.canary_route).map(str::to_owned);
        service.default = desired.default;
    }
    projection.table.rollouts = desired.rollout.into_iter().collect();
    projection
}

#[cfg(test)]
mod tests {
    use serin_route::Track;

    use super::*;
    use crate::envoy::fixture::projection;
    use crate::local::input::SHOP;

    fn release() -> Release {
        Release {
            plan: crate::local::input::plan(SHOP).unwrap(),
            revision: "v2".to_owned(),
            primary_revision: "v1".to_owned(),
            primary: vec!["127.0.0.1:1".parse().unwrap()],
            canary: vec!["127.0.0.1:2".parse().unwrap()],
        }
    }

    fn desired(canary_route: bool, primary_revision: &str) -> Desired {
        Desired {
            initialized: true,
            rollout: None,
            canary_route,
            default: Track::Primary,
            canary_runs: true,
            primary_revision: Some(primary_revision.to_owned()),
        }
    }

    #[test]
    fn the_nonce_steers_only_while_there_is_a_route_for_it() {
        let release = release();
        let with = project(&projection(), &release, desired(true, "v1"), Some("nonce"));
        assert_eq!(with.services[0].steering.as_deref(), Some("nonce"));
        let without = project(&with, &release, desired(false, "v1"), Some("nonce"));
        assert_eq!(without.services[0].steering, None);
    }

    #[test]
    fn promotion_gives_primary_the_new_addresses() {
        let release = release();
        let before = project(&projection(), &release, desired(true, "v1"), None);
        assert_eq!(before.services[0].primary, release.primary);
        let after = project(&before, &release, desired(true, "v2"), None);
        assert_eq!(after.services[0].primary, release.canary);
        assert_eq!(after.services[0].canary, release.canary);
    }

    #[test]
    fn applied_twice_is_applied_once() {
        let release = release();
        let once = project(&projection(), &release, desired(true, "v1"), Some("nonce"));
        let twice = project(&once, &release, desired(true, "v1"), Some("nonce"));
        assert_eq!(crate::envoy::updates(Some(&once), &twice), []);
    }
}
