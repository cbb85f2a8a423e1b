//! No run is under way: initialisation, the wait for a new revision, and its first gate.

use std::fmt::Write;

use serin_route::Weight;

use super::Turn;
use super::gate::Gate;
use crate::clock::since;
use crate::fingerprint::fingerprint;
use crate::{HookKind, Intent, NoticeKind, Phase, Readiness, Run, Stage};

impl Turn<'_> {
    /// Until primary can serve.
    pub(super) fn initialize(&mut self) {
        let workloads = &self.seen.workloads;
        if self.status.promoted_revision.is_none() && !self.seen.revision.is_empty() {
            self.status.promoted_revision = Some(self.seen.revision.clone());
        }
        // A primary that is ready may have been made by half: its size is a write of its own.
        if workloads.primary != Readiness::Ready || !self.seen.projection.applied {
            return;
        }
        // What primary runs is what was promoted: taking over starts no release unless the target differs.
        if !workloads.primary_revision.is_empty() {
            self.status.promoted_revision = Some(workloads.primary_revision.clone());
        }
        self.status.tried_revision.clone_from(&self.status.promoted_revision);
        self.status.phase = Phase::Initialized;
        let message = format!("Initialization done! {}", self.subject());
        self.tell(NoticeKind::Initialized, Weight::ZERO, message);
    }

    /// Until there is something new.
    pub(super) fn idle(&mut self) {
        self.settle();
        self.after_rollout();
        self.heed_pause();
        if self.seen.intent == Some(Intent::Retry) && self.status.phase == Phase::Failed {
            self.status.tried_revision = None;
        }
        if !self.is_new() {
            return;
        }
        if self.status.run.as_ref().is_some_and(|run| run.stage == Stage::Failover) {
            return self.with_run(Self::promote_anew);
        }
        if self.plan.hooks.iter().any(|hook| hook.kind == HookKind::ConfirmRollout) {
            self.status.phase = Phase::Waiting;
            self.status.since = Some(self.now);
            self.await_approval();
        } else {
            self.start(self.round_before());
        }
    }

    /// The confirm-rollout gate of a new revision.
    pub(super) fn await_approval(&mut self) {
        self.settle();
        self.heed_pause();
        if self.seen.intent == Some(Intent::Abort) {
            self.status.tried_revision = Some(self.seen.revision.clone());
        }
        if !self.is_new() {
            self.status.phase = self.phase_before_waiting();
            return;
        }
        let waited = since(self.status.since.unwrap_or(self.now), self.now);
        let interval = self.plan.interval.as_millis().max(1);
        let rounds = waited.as_millis().checked_div(interval).unwrap_or(0);
        let round = self.round_before().saturating_add(u64::try_from(rounds).unwrap_or(0));
        if self.gate_of(HookKind::ConfirmRollout, round, Weight::ZERO) == Gate::Open {
            self.start(round);
        } else {
            let next = self.plan.interval.saturating_mul(u32::try_from(rounds).unwrap_or(0));
            let since = self.status.since.unwrap_or(self.now);
            self.left(next.saturating_add(self.plan.interval), since);
        }
    }

    /// A pause may be asked for at any time; it holds the next run too.
    pub(super) fn heed_pause(&mut self) {
        match self.seen.intent {
            Some(Intent::Pause) => self.status.paused = true,
            Some(Intent::Resume) => self.status.paused = false,
            _ => {}
        }
    }

    /// Begins a run. Rounds go on counting, so that no answer is mistaken for one of an earlier run.
    pub(super) fn start(&mut self, round: u64) {
        self.status.phase = Phase::Progressing;
        self.status.tried_revision = Some(self.seen.revision.clone());
        self.status.run = Some(self.new_run(round));
        let message = format!("New revision detected! Scaling up {}", self.target());
        self.tell(NoticeKind::RunStarted, Weight::ZERO, message);
    }

    pub(super) fn new_run(&self, round: u64) -> Run {
        let (id, rest) = self.seen.dice.split_at(8);
        let (nonce, salt) = rest.split_at(8);
        Run {
            id: hexadecimal(id),
            nonce: hexadecimal(nonce),
            salt: hexadecimal(salt),
            revision: self.seen.revision.clone(),
            started: self.now,
            step_since: self.now,
            generation: 1,
            routing: fingerprint(&self.plan.routing),
            round,
            ..Run::default()
        }
    }

    /// An ended run leaves the filters' tables as soon as all of them show weight 0.
    fn settle(&mut self) {
        let Some(mut run) = self.status.run.take() else { return };
        if run.stage == Stage::Ending && self.in_force(&run) {
            run.stage = Stage::Settled;
        }
        self.status.run = Some(run);
    }

    /// A revision that was neither promoted nor tried.
    fn is_new(&self) -> bool {
        let revision = Some(&self.seen.revision);
        !self.seen.revision.is_empty()
            && self.status.promoted_revision.as_ref() != revision
            && self.status.tried_revision.as_ref() != revision
    }

    /// The first number for a round that no probe has had.
    fn round_before(&self) -> u64 {
        self.status.run.as_ref().map_or(0, |run| run.round.saturating_add(2))
    }

    pub(super) fn phase_before_waiting(&self) -> Phase {
        match &self.status.run {
            None => Phase::Initialized,
            Some(run) if self.status.promoted_revision.as_ref() == Some(&run.revision) => {
                Phase::Succeeded
            }
            Some(_) => Phase::Failed,
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        // Writing to a string cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}
