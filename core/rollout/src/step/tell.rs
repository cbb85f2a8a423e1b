//! Notices, in Flagger's words where Flagger has them, and the verdicts beside them.

use serin_route::Weight;

use super::Turn;
use crate::evidence::Conclusion;
use crate::{Action, Notice, NoticeKind, Run, Severity, Verdict, VerdictState};

impl Turn<'_> {
    /// The Canary as `name.namespace`, as most messages have it.
    pub(super) fn subject(&self) -> String {
        format!("{}.{}", self.plan.canary, self.plan.namespace)
    }

    /// The workload likewise: where Flagger's messages tell what becomes of it, they name it.
    pub(super) fn target(&self) -> String {
        format!("{}.{}", self.plan.target, self.plan.namespace)
    }

    /// Tells what happened. The phase is filled in as it is now, so phases change before.
    pub(super) fn tell(&mut self, kind: NoticeKind, weight: Weight, message: impl Into<String>) {
        let severity = match kind {
            NoticeKind::RolledBack => Severity::Error,
            NoticeKind::GateClosed
            | NoticeKind::CheckFailed
            | NoticeKind::Quarantined
            | NoticeKind::Warning => Severity::Warn,
            _ => Severity::Info,
        };
        self.notices.push(Notice {
            at: self.now,
            kind,
            severity,
            message: message.into(),
            phase: self.status.phase,
            weight,
            verdict: None,
        });
    }

    /// Tells it once until [`Self::untell`]. The memory is the ledger's: lost with it, and then told again.
    pub(super) fn tell_once(
        &mut self,
        key: String,
        kind: NoticeKind,
        weight: Weight,
        message: impl Into<String>,
    ) {
        if self.ledger.told.insert(key) {
            self.tell(kind, weight, message);
        }
    }

    pub(super) fn untell(&mut self, key: &str) {
        self.ledger.told.remove(key);
    }

    /// Tells a decision with the verdict behind it, and keeps that in the run.
    pub(super) fn tell_verdict(
        &mut self,
        run: &mut Run,
        kind: NoticeKind,
        message: impl Into<String>,
        verdict: Verdict,
    ) {
        self.tell(kind, run.weight, message);
        if let Some(notice) = self.notices.last_mut() {
            notice.verdict = Some(verdict.clone());
        }
        run.verdict = Some(verdict.clone());
        self.verdict = Some(verdict);
    }

    /// The verdict for a conclusion.
    pub(super) fn verdict(&mut self, state: VerdictState, action: Action, reason: &str) -> Verdict {
        let waits_for = self.waits.iter().map(|wait| wait.words.clone()).collect();
        let conclusion = Conclusion { state, action, reason: reason.to_owned(), waits_for };
        self.ledger.verdict(self.plan, self.seen, conclusion, self.now)
    }

    /// The verdict of a step without a decision.
    pub(super) fn hold(&mut self) {
        if self.verdict.is_none() {
            let reason = self.waits.first().map_or("Waiting", |wait| wait.reason);
            let verdict = self.verdict(VerdictState::Inconclusive, Action::Hold, reason);
            self.verdict = Some(verdict);
        }
    }

    /// Nobody has acknowledged for half a minute: say why that may be, once for each generation.
    pub(super) fn tell_overdue(&mut self, run: &Run) {
        let subject = self.subject();
        let message = if self.seen.traffic.heard == 0 {
            format!(
                "No proxy reports on {subject} after 30 s: is the filter installed where the callers are, and \
                 can they reach the controller?"
            )
        } else {
            format!(
                "Some proxies do not show generation {} of {subject} after 30 s",
                run.generation
            )
        };
        let key = format!("overdue {} {}", run.id, run.generation);
        self.tell_once(key, NoticeKind::Warning, run.weight, message);
    }
}
