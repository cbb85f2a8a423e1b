//! What is seen of the world, for one step. Waits for nothing: everything was gathered before.

use jiff::Timestamp;
use serin_rollout::{Acknowledged, Projection, Readiness, Seen, Status, Workloads, desired};

use super::Release;
use super::engine::Engine;
use super::readiness::Accepting;
use super::world::PERIOD_MS;

impl Engine<'_> {
    /// The world as of `now`.
    pub(super) fn observe(&mut self, now: Timestamp) -> std::io::Result<Seen> {
        Ok(Seen {
            dice: dice()?,
            intent: self.intents.pop_front(),
            revision: self.release.revision.clone(),
            workloads: workloads(self.release, &self.status, self.readiness.now()),
            projection: Projection {
                applied: self.is_applied(),
                acknowledged: self.acknowledged(now),
            },
            traffic: self.book.traffic(now),
            answers: std::mem::take(&mut self.answers),
        })
    }

    /// Envoy was told what the status wants.
    pub(super) fn is_applied(&self) -> bool {
        *self.world.shown() == self.projection()
    }

    /// Every VM shows the run's generation.
    pub(super) fn acknowledged(&self, now: Timestamp) -> Acknowledged {
        match (&self.status.run, self.applied) {
            (None, _) => Acknowledged::Yes,
            (Some(run), Some(applied)) if applied.generation >= run.generation => {
                let vms = Some(self.world.envoy.vms());
                self.book.acknowledged(run.generation, applied.at, now, PERIOD_MS, vms)
            }
            (Some(_), _) => Acknowledged::No,
        }
    }
}

/// Promotion gives primary the new addresses: whether those accept is what counts from then on.
fn workloads(
    release: &Release,
    status: &Status,
    (primary, canary): (Accepting, Accepting),
) -> Workloads {
    let promoted =
        desired(&release.plan, status).primary_revision == Some(release.revision.clone());
    let primary = if promoted { canary.clone() } else { primary };
    let running = if promoted { &release.revision } else { &release.primary_revision };
    Workloads {
        primary: readiness(&primary),
        primary_revision: if primary.all() { running.clone() } else { String::new() },
        canary: readiness(&canary),
        canary_pods: u32::try_from(canary.accepting).unwrap_or(u32::MAX),
    }
}

fn readiness(accepting: &Accepting) -> Readiness {
    if accepting.all() { Readiness::Ready } else { Readiness::Waiting }
}

/// Randomness from the system, of which a run's identity is made.
pub(super) fn dice() -> std::io::Result<[u8; 32]> {
    let mut dice = [0; 32];
    getrandom::fill(&mut dice).map_err(std::io::Error::from)?;
    Ok(dice)
}

/// The status that a release begins with: primary is there, nothing was tried.
pub(super) fn fresh(primary_revision: &str) -> Status {
    Status {
        phase: serin_rollout::Phase::Initialized,
        promoted_revision: Some(primary_revision.to_owned()),
        tried_revision: Some(primary_revision.to_owned()),
        ..Status::default()
    }
}

#[cfg(test)]
mod tests {
    use serin_rollout::{Phase, Run};

    use super::*;

    #[test]
    fn promotion_watches_the_new_addresses() {
        let release = Release {
            plan: crate::local::input::plan(crate::local::input::SHOP).unwrap(),
            revision: "v2".to_owned(),
            primary_revision: "v1".to_owned(),
            primary: vec!["127.0.0.1:1".parse().unwrap()],
            canary: vec!["127.0.0.1:2".parse().unwrap()],
        };
        let (up, down) = (Accepting { accepting: 1, refusing: Vec::new() }, Accepting::default());
        let of = |phase, primary: &Accepting, canary: &Accepting| {
            let run = Run { revision: "v2".to_owned(), ..Run::default() };
            let status = Status { phase, run: Some(run), ..fresh("v1") };
            let seen = workloads(&release, &status, (primary.clone(), canary.clone()));
            (seen.primary, seen.primary_revision)
        };
        let ready = |revision: &str| (Readiness::Ready, revision.to_owned());
        let waiting = || (Readiness::Waiting, String::new());
        assert_eq!(of(Phase::Progressing, &up, &down), ready("v1"));
        assert_eq!(of(Phase::Progressing, &down, &up), waiting());
        assert_eq!(of(Phase::Promoting, &down, &up), ready("v2"));
        assert_eq!(of(Phase::Promoting, &up, &down), waiting());
    }
}
