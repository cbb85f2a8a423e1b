//! The end of a run that did not make it: traffic first.

use serin_route::Weight;

use super::Turn;
use crate::{Action, NoticeKind, Phase, Run, Stage, VerdictState};

/// Why a run ends.
pub(super) struct Ending {
    reason: &'static str,
    /// Told before the end itself; evidence speaks through its verdict.
    message: Option<String>,
}

impl Ending {
    pub(super) fn new(reason: &'static str, message: String) -> Self {
        Self { reason, message: Some(message) }
    }

    pub(super) fn evidence(reason: &'static str) -> Self {
        Self { reason, message: None }
    }
}

impl Turn<'_> {
    /// All traffic to primary, now. The filters' entry stays at weight 0 until they show it; the route goes at once.
    pub(super) fn roll_back(&mut self, run: &mut Run, ending: Ending) {
        self.waits.clear();
        let mut verdict = self.verdict(VerdictState::Fail, Action::Rollback, ending.reason);
        run.weight = Weight::ZERO;
        run.generation = run.generation.saturating_add(1);
        run.stage = Stage::Ending;
        run.quarantine = None;
        run.suspended = None;
        run.promote = false;
        run.post_hooks = 0;
        self.status.phase = Phase::Failed;
        self.status.tried_revision = Some(run.revision.clone());
        let message = match ending.message {
            Some(message) => {
                // The counts are not what it is about.
                verdict.text = format!("FAIL {message}");
                message
            }
            None => format!("Rolling back {} {}", self.subject(), verdict.text),
        };
        self.tell(NoticeKind::Warning, run.weight, message);
        let message = format!("Canary failed! Scaling down {}", self.subject());
        self.tell_verdict(run, NoticeKind::RolledBack, message, verdict);
    }
}
