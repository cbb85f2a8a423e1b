//! A run under analysis: in order, what ends it, what takes traffic away, what holds it, what advances it.

use serin_route::Weight;

use super::Turn;
use super::rollback::Ending;
use crate::evidence::Finding;
use crate::{Action, Dwell, Intent, Mode, NoticeKind, Phase, Readiness, Run, ScheduleStep};
use crate::{Schedule, Stage, VerdictState};

/// Requests of one generation that are served by another track than decided before it is worth telling: a few are,
/// while a table and a route spread.
const MISMATCHED_MIN: u64 = 100;

impl Turn<'_> {
    pub(super) fn analyse(&mut self, run: &mut Run) {
        self.ledger.observe(self.plan, run, self.seen, self.now);
        self.warn(run);
        self.heed(run);
        if self.is_superseded(run) {
            return self.restart(run);
        }
        let finding = self.finding(run);
        if let Some(ending) = self.ending(run, finding) {
            return self.roll_back(run, ending);
        }
        if self.lost_last_pod(run) {
            return self.suspend(run);
        }
        self.weigh(run, finding);
        if run.is_over() {
            return;
        }
        if self.seen.workloads.canary == Readiness::Ready {
            self.carry_on(run, finding);
        } else {
            self.wait("NotReady", "the canary to become ready");
        }
        if !run.is_over() {
            self.hold();
        }
    }

    /// With a canary that can serve.
    fn carry_on(&mut self, run: &mut Run, finding: Finding) {
        if let Some(weight) = run.suspended {
            if self.in_force(run) {
                run.suspended = None;
                self.set_weight(run, weight);
                let message = format!("Canary {} is ready again", self.subject());
                self.tell(NoticeKind::Held, run.weight, message);
            }
            return;
        }
        if self.plan.skip_analysis {
            if self.in_force(run) {
                self.begin_promotion(run);
            }
            return;
        }
        self.rounds(run);
        if !run.is_over() && run.stage == Stage::Analysing {
            self.advance(run, finding);
        }
    }

    /// What a person should know about the counts.
    fn warn(&mut self, run: &Run) {
        let generations = &self.seen.traffic.generations;
        let mismatched = generations.iter().map(|it| it.mismatched).max().unwrap_or(0);
        let overflow = generations.iter().flat_map(|it| &it.keyed).any(|keyed| keyed.overflow);
        let subject = self.subject();
        if mismatched >= MISMATCHED_MIN {
            let message = format!(
                "Requests of {subject} are served by another track than decided: do its routes \
                 match the filters' header?"
            );
            self.tell_once("mismatched".to_owned(), NoticeKind::Warning, run.weight, message);
        }
        if overflow {
            let message =
                format!("Too many users of {subject} fail: keyed traffic is no evidence any more");
            self.tell_once("overflow".to_owned(), NoticeKind::Warning, run.weight, message);
        }
    }

    /// What a person wants, but for an abort.
    fn heed(&mut self, run: &mut Run) {
        let paused = self.status.paused;
        self.heed_pause();
        if self.status.paused && !paused {
            let message = format!("Pause {}: its weight is held", self.subject());
            self.tell(NoticeKind::Held, run.weight, message);
        }
        match self.seen.intent {
            Some(Intent::Resume) => self.resume(run),
            Some(Intent::Promote) => run.promote = true,
            _ => {}
        }
    }

    /// Goes on: past a pause without end, with a dwell that has expired, or out of a quarantine that is not suspect any
    /// more.
    fn resume(&mut self, run: &mut Run) {
        let paused_by = match &self.plan.schedule {
            Schedule::Steps(steps) => steps.get(run.step),
            Schedule::Ab { .. } | Schedule::BlueGreen { .. } => None,
        };
        if run.entered && paused_by == Some(&ScheduleStep::Pause(None)) {
            run.step = run.step.saturating_add(1);
            run.entered = false;
            run.step_since = self.now;
        }
        if run.dwell == Dwell::Expired {
            run.dwell = Dwell::Regular;
            run.step_since = self.now;
            self.resume_from_quarantine(run);
        }
    }

    /// What the evidence says, as far as it may act.
    fn finding(&mut self, run: &Run) -> Finding {
        let finding = self.ledger.finding(self.plan, self.now);
        let (reason, would) = match finding {
            Finding::Guilty(reason) if self.observes() => (reason, "be rolled back"),
            Finding::Suspect(reason) if self.observes() => (reason, "be quarantined"),
            Finding::Environment if self.observes() => return Finding::Nothing,
            _ => return finding,
        };
        let message = format!("{} would {would} ({reason}), but is only observed", self.subject());
        let key = format!("observed {would}");
        self.tell_once(key, NoticeKind::Warning, run.weight, message);
        Finding::Nothing
    }

    fn observes(&self) -> bool {
        self.plan.evidence.mode == Mode::Observe
    }

    /// Whatever ends the run now.
    fn ending(&mut self, run: &Run, finding: Finding) -> Option<Ending> {
        if self.seen.intent == Some(Intent::Abort) {
            return Some(Ending::new(
                "Aborted",
                format!("Rolling back {} aborted", self.subject()),
            ));
        }
        if self.status.promoted_revision.as_ref() == Some(&self.seen.revision) {
            let message = format!("Rolling back {} the target was reverted", self.subject());
            return Some(Ending::new("Reverted", message));
        }
        if let Readiness::Failed(why) = &self.seen.workloads.canary {
            return Some(Ending::new("NotReady", why.clone()));
        }
        if let Some(hook) = self.rollback_hook(run) {
            let message = format!("Rolling back {} manual webhook invoked", self.subject());
            return Some(Ending::new("RollbackHook", format!("{message} ({hook})")));
        }
        match finding {
            Finding::Guilty(reason) => Some(Ending::evidence(reason)),
            _ => None,
        }
    }

    /// A newer revision replaces the one under trial; going back to the promoted one is a rollback instead.
    fn is_superseded(&self, run: &Run) -> bool {
        let revision = &self.seen.revision;
        !revision.is_empty()
            && *revision != run.revision
            && self.status.promoted_revision.as_ref() != Some(revision)
            && self.seen.intent != Some(Intent::Abort)
    }

    fn restart(&mut self, run: &mut Run) {
        self.status.phase = Phase::Progressing;
        self.status.tried_revision = Some(self.seen.revision.clone());
        *run = self.new_run(run.round.saturating_add(2));
        let message = format!("New revision detected! Restarting analysis for {}", self.target());
        self.tell(NoticeKind::RunRestarted, Weight::ZERO, message);
    }

    /// Envoy answers 503 for a track without endpoints.
    pub(super) fn lost_last_pod(&self, run: &Run) -> bool {
        run.weight > Weight::ZERO
            && self.seen.workloads.canary != Readiness::Ready
            && self.seen.workloads.canary_pods == 0
    }

    pub(super) fn suspend(&mut self, run: &mut Run) {
        run.suspended = Some(run.weight);
        self.set_weight(run, Weight::ZERO);
        let message =
            format!("No canary pod of {} is ready: all traffic to primary", self.subject());
        self.wait("NotReady", "the canary to become ready");
        let verdict = self.verdict(VerdictState::Inconclusive, Action::Hold, "NotReady");
        self.tell_verdict(run, NoticeKind::Warning, message, verdict);
    }
}
