//! What happened is told: to whoever follows the release, and to its event hooks.

use jiff::Timestamp;
use serin_rollout::{Notice, NoticeKind, Severity, Traffic, Verdict};
use serin_route::Weight;

use super::engine::Engine;
use crate::output::{Moment, Sink};
use crate::recording::Recording;

impl Engine<'_> {
    /// Tells notices, once each, then how things stand.
    pub(super) fn announce(
        &mut self,
        now: Timestamp,
        notices: &[Notice],
        traffic: &Traffic,
        verdict: Option<&Verdict>,
    ) {
        for notice in notices {
            self.tell(notice);
        }
        let moment = Moment { now, status: &self.status, traffic, verdict };
        self.sinks.moment(&moment);
    }

    /// Something that only this shell knows, told once.
    pub(super) fn warn_once(&mut self, now: Timestamp, message: String) {
        if !self.warned.insert(message.clone()) {
            return;
        }
        self.remark(now, Severity::Warn, message);
    }

    /// Something that only this shell knows.
    pub(super) fn remark(&mut self, now: Timestamp, severity: Severity, message: String) {
        let weight = self.status.run.as_ref().map_or(Weight::ZERO, |run| run.weight);
        self.tell(&Notice {
            at: now,
            kind: NoticeKind::Warning,
            severity,
            message,
            phase: self.status.phase,
            weight,
            verdict: None,
        });
    }

    fn tell(&mut self, notice: &Notice) {
        self.sinks.notice(notice);
        self.events.tell(&self.release.plan, None, &self.release.revision, notice);
    }
}

impl Sink for Recording {
    fn notice(&mut self, notice: &Notice) {
        self.note(notice);
    }

    fn moment(&mut self, moment: &Moment<'_>) {
        self.sample(moment.now, moment.status, moment.traffic, moment.verdict);
    }
}
