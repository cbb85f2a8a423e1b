//! How a release ended, and when what was in force.

use jiff::Timestamp;
use serin_rollout::{Notice, NoticeKind, Phase, Stage, Status, Traffic};

use super::engine::Engine;

/// How a release ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// The canary's version is primary now.
    Promoted,
    /// All traffic is back on the old version.
    RolledBack,
}

/// How a release ended, and when what was in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Which way.
    pub ending: Ending,
    /// When the engine took it up.
    pub started: Timestamp,
    /// When it was settled.
    pub ended: Timestamp,
    /// When every VM showed the weight of the first quarantine.
    pub quarantine_in_force: Option<Timestamp>,
    /// When every VM showed the last weight, which is 0.
    pub end_in_force: Option<Timestamp>,
    /// The status at the end.
    pub status: Status,
    /// All traffic of the run.
    pub traffic: Traffic,
    /// Why the file that keeps the status holds an older one.
    pub unsaved: Option<String>,
}

/// What an engine writes down for its outcome.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    quarantine: Option<u64>,
}

impl Times {
    /// Keeps the generation that a quarantine brought.
    pub(super) fn note(&mut self, status: &Status, notices: &[Notice]) {
        let quarantined = notices.iter().any(|notice| notice.kind == NoticeKind::Quarantined);
        if let (true, Some(run)) = (quarantined, &status.run) {
            self.quarantine.get_or_insert(run.generation);
        }
    }
}

impl Engine<'_> {
    /// The outcome, once the release is over and everyone knows.
    pub(super) fn outcome(&self, now: Timestamp) -> Option<Outcome> {
        let ending = ending(&self.status).filter(|_| self.prober.is_settled())?;
        // Told is not done: Envoy has to have been told.
        if !self.is_applied() {
            return None;
        }
        let run = self.status.run.as_ref()?;
        Some(Outcome {
            ending,
            started: self.started,
            ended: now,
            quarantine_in_force: self.times.quarantine.and_then(|it| self.book.shown_at(it)),
            end_in_force: self.book.shown_at(run.generation),
            status: self.status.clone(),
            traffic: self.book.traffic(now),
            unsaved: self.unsaved.clone(),
        })
    }
}

/// The end that a status tells of, once nothing of the run is left to do.
fn ending(status: &Status) -> Option<Ending> {
    let settled = status.run.as_ref()?.stage == Stage::Settled;
    match status.phase {
        Phase::Succeeded if settled => Some(Ending::Promoted),
        Phase::Failed if settled => Some(Ending::RolledBack),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serin_rollout::Run;

    use super::*;

    #[test]
    fn an_end_is_one_when_nothing_is_left_to_do() {
        let of = |phase, stage| {
            let run = Run { stage, ..Run::default() };
            ending(&Status { phase, run: Some(run), ..Status::default() })
        };
        assert_eq!(of(Phase::Failed, Stage::Settled), Some(Ending::RolledBack));
        assert_eq!(of(Phase::Succeeded, Stage::Settled), Some(Ending::Promoted));
        assert_eq!(of(Phase::Failed, Stage::Ending), None);
        assert_eq!(of(Phase::Failed, Stage::Failover), None);
        assert_eq!(of(Phase::Finalising, Stage::Settled), None);
        assert_eq!(ending(&Status { phase: Phase::Failed, ..Status::default() }), None);
    }
}
