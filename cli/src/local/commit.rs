//! A decision becomes the truth: the status is written before anything is done about it.
//!
//! Where it is to be kept in a file that cannot be written, traffic stays safe and nobody is left alone with it: what
//! gives the canary less is carried out all the same, what gives it more waits until the file can be written.

use jiff::Timestamp;
use serin_rollout::{Plan, Severity, Status, desired};
use serin_route::Weight;

use super::engine::Engine;

impl Engine<'_> {
    /// Takes up the next status; false if it must wait for the file.
    pub(super) fn commit(&mut self, next: Status, now: Timestamp) -> bool {
        let waits =
            self.keep(&next, now).is_err() && raises(&self.release.plan, &self.status, &next);
        if !waits {
            self.status = next;
        }
        !waits
    }

    /// Writes the status, if it changed or the file lags behind.
    fn keep(&mut self, next: &Status, now: Timestamp) -> Result<(), ()> {
        let Some(file) = &mut self.state else { return Ok(()) };
        if *next == self.status && self.unsaved.is_none() {
            return Ok(());
        }
        let place = file.path().display().to_string();
        match file.write(next, now) {
            Ok(()) => {
                if self.unsaved.take().is_some() {
                    let text = format!("{place} is written again");
                    self.remark(now, Severity::Info, text);
                }
                Ok(())
            }
            Err(error) => {
                if self.unsaved.is_none() {
                    let text = format!(
                        "cannot keep the release's status in {place}: {error}; \
                         until that is mended the canary may lose traffic and gets no more of it"
                    );
                    self.remark(now, Severity::Warn, text);
                }
                self.unsaved = Some(format!("{place} could not be written: {error}"));
                Err(())
            }
        }
    }
}

/// Whether the next status gives the canary's version more than the last one.
fn raises(plan: &Plan, last: &Status, next: &Status) -> bool {
    let weight = |status: &Status| status.run.as_ref().map_or(Weight::ZERO, |run| run.weight);
    let promotes = |status: &Status| {
        let revision = status.run.as_ref().map(|run| run.revision.clone());
        revision.is_some() && desired(plan, status).primary_revision == revision
    };
    weight(next) > weight(last) || (promotes(next) && !promotes(last))
}

#[cfg(test)]
mod tests {
    use serin_rollout::{Phase, Run};

    use super::*;
    use crate::local::input;

    fn status(phase: Phase, percent: u8) -> Status {
        let run = Run {
            revision: "v2".to_owned(),
            weight: Weight::from_percent(percent),
            ..Run::default()
        };
        let promoted_revision = Some("v1".to_owned());
        Status { phase, run: Some(run), promoted_revision, ..Status::default() }
    }

    #[test]
    fn only_more_for_the_new_version_waits() {
        let plan = input::plan(input::SHOP).unwrap();
        let raises = |from, to| raises(&plan, &from, &to);
        let progressing = |percent| status(Phase::Progressing, percent);
        assert!(raises(Status::default(), progressing(10)));
        assert!(raises(progressing(10), progressing(11)));
        assert!(raises(progressing(50), status(Phase::Promoting, 50)));
        assert!(!raises(Status::default(), progressing(0)));
        assert!(!raises(progressing(10), progressing(10)));
        assert!(!raises(progressing(10), status(Phase::Failed, 0)));
        assert!(!raises(status(Phase::Promoting, 100), status(Phase::Finalising, 0)));
    }
}
