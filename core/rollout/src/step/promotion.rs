//! From the last analysis to the end: primary becomes the new revision, then traffic returns to it.

use serin_route::Weight;

use super::Turn;
use super::rollback::Ending;
use crate::{Intent, NoticeKind, Phase, Readiness, Run, Severity, Stage};

impl Turn<'_> {
    pub(super) fn begin_promotion(&mut self, run: &mut Run) {
        run.promote = false;
        run.stage = Stage::Analysing;
        run.quarantine = None;
        self.status.phase = Phase::Promoting;
        let (name, namespace) = (&self.plan.target, &self.plan.namespace);
        let message =
            format!("Copying {name}.{namespace} template spec to {name}-primary.{namespace}");
        self.tell(NoticeKind::Promoting, run.weight, message);
    }

    /// Until primary is ready at the new revision. The canary keeps its traffic; nothing is compared, for primary is
    /// both versions by turns.
    pub(super) fn promote(&mut self, run: &mut Run) {
        if run.stage != Stage::Failover && self.is_called_off(run) {
            return;
        }
        if !self.seen.projection.applied {
            return self.wait("NotApplied", "its configuration to be applied");
        }
        let workloads = &self.seen.workloads;
        match &workloads.primary {
            Readiness::Failed(why) => self.fail_over(run, why),
            Readiness::Ready if workloads.primary_revision == run.revision => {
                run.stage = Stage::Ending;
                run.suspended = None;
                self.set_weight(run, Weight::ZERO);
                self.status.phase = Phase::Finalising;
                self.tell(NoticeKind::Promoting, run.weight, "Routing all traffic to primary");
            }
            Readiness::Ready | Readiness::Waiting => {
                self.wait("PrimaryNotReady", "primary to become ready at the new revision");
                self.hold();
            }
        }
    }

    /// A canary that cannot serve, or a person, stops the promotion or takes its traffic away.
    fn is_called_off(&mut self, run: &mut Run) -> bool {
        if self.seen.intent == Some(Intent::Abort) {
            let message = format!("Rolling back {} aborted", self.subject());
            self.roll_back(run, Ending::new("Aborted", message));
            return true;
        }
        if let Readiness::Failed(why) = &self.seen.workloads.canary {
            self.roll_back(run, Ending::new("NotReady", why.clone()));
            return true;
        }
        if self.lost_last_pod(run) {
            self.suspend(run);
            return true;
        }
        let ready = self.seen.workloads.canary == Readiness::Ready;
        if let (Some(weight), true) = (run.suspended, ready)
            && self.in_force(run)
        {
            run.suspended = None;
            self.set_weight(run, weight);
            return true;
        }
        false
    }

    /// Primary is broken and the canary is well: the default route goes to the canary.
    fn fail_over(&mut self, run: &mut Run, why: &str) {
        run.stage = Stage::Failover;
        run.post_hooks = 0;
        self.status.phase = Phase::Failed;
        let subject = self.subject();
        let message = format!("Promotion of {subject} failed, primary not ready: {why}");
        self.tell(NoticeKind::Warning, run.weight, message);
        if let Some(notice) = self.notices.last_mut() {
            notice.severity = Severity::Error;
        }
    }

    /// After a failed promotion the canary serves all; a new revision, or a retry, is promoted without another trial:
    /// there is nothing sound to compare it with.
    pub(super) fn promote_anew(&mut self, run: &mut Run) {
        run.revision.clone_from(&self.seen.revision);
        self.status.tried_revision = Some(self.seen.revision.clone());
        self.status.phase = Phase::Promoting;
        let (name, namespace) = (&self.plan.target, &self.plan.namespace);
        let message =
            format!("Copying {name}.{namespace} template spec to {name}-primary.{namespace}");
        self.tell(NoticeKind::Promoting, run.weight, message);
    }

    /// Until every filter shows weight 0.
    pub(super) fn finalise(&mut self, run: &mut Run) {
        if !self.in_force(run) {
            return;
        }
        run.stage = Stage::Settled;
        run.post_hooks = 0;
        self.status.promoted_revision = Some(run.revision.clone());
        self.status.phase = Phase::Succeeded;
        let target = self.target();
        let message = if self.plan.skip_analysis {
            format!("Promotion completed! Canary analysis was skipped for {target}")
        } else {
            format!("Promotion completed! Scaling down {target}")
        };
        self.tell(NoticeKind::Promoted, run.weight, message);
    }
}
