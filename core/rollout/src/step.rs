//! The one function that decides.
//!
//! The one `match` is [`Turn::decide`], on the phase; the files under it compute what one phase, or one concern of a
//! running release, does. Whatever ends or restarts a run comes first, then what takes traffic away, then what holds,
//! and last what advances: so nothing that waits can delay a rollback.

mod advance;
mod gate;
mod idle;
mod live;
mod promotion;
mod quarantine;
mod rollback;
mod round;
mod tell;

use std::time::Duration;

use jiff::Timestamp;
use serin_route::Weight;

use crate::clock::left;
use crate::fingerprint::fingerprint;
use crate::{Acknowledged, Ledger, Notice, Phase, Plan, Probe, Run, Seen, Stage, Status, Verdict};

/// Nothing changes by itself for as long: whoever sees something calls sooner.
const IDLE: Duration = Duration::from_hours(1);
/// While a canary has traffic, look at least as often.
const LIVE: Duration = Duration::from_secs(1);
/// Never spin.
const SOONEST: Duration = Duration::from_millis(10);

/// A decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The next status; equal to the last where nothing changed.
    pub status: Status,
    /// The next ledger.
    pub ledger: Ledger,
    /// Questions; an answer is expected in a later observation. Repeated until it comes.
    pub wants: Vec<Probe>,
    /// What happened.
    pub notices: Vec<Notice>,
    /// What the evidence says now, decision or not; status keeps only the one behind the last decision.
    pub verdict: Option<Verdict>,
    /// What the checks measured, for whoever draws it: the check's index and its number, as its bounds are given.
    pub measures: Vec<(usize, f64)>,
    /// Look again after this time at the latest.
    pub wake: Duration,
}

/// Decides what happens to a release now.
///
/// Deterministic in its arguments. An intent is acted upon once where that matters; an answer may be given in any
/// observation after its probe, any number of times.
pub fn step(plan: &Plan, status: &Status, ledger: Ledger, seen: &Seen, now: Timestamp) -> Step {
    let mut turn = Turn {
        plan,
        seen,
        now,
        status: status.clone(),
        ledger,
        wants: Vec::new(),
        notices: Vec::new(),
        waits: Vec::new(),
        verdict: None,
        measures: Vec::new(),
        wake: IDLE,
    };
    turn.decide();
    turn.end(status.phase)
}

/// A step under way.
struct Turn<'a> {
    plan: &'a Plan,
    seen: &'a Seen,
    now: Timestamp,
    status: Status,
    ledger: Ledger,
    wants: Vec<Probe>,
    notices: Vec<Notice>,
    waits: Vec<Wait>,
    verdict: Option<Verdict>,
    measures: Vec<(usize, f64)>,
    wake: Duration,
}

/// Why a release does not advance.
struct Wait {
    /// One word for machines.
    reason: &'static str,
    /// What it waits for, for people.
    words: String,
}

impl Turn<'_> {
    fn decide(&mut self) {
        self.remember_answers();
        match self.status.phase {
            Phase::Initializing => self.initialize(),
            Phase::Initialized | Phase::Succeeded | Phase::Failed => self.idle(),
            Phase::Waiting => self.await_approval(),
            Phase::Progressing | Phase::WaitingPromotion => self.with_run(Self::analyse),
            Phase::Promoting => self.with_run(Self::promote),
            Phase::Finalising => self.with_run(Self::finalise),
        }
    }

    fn end(mut self, phase_before: Phase) -> Step {
        if self.status.phase != phase_before {
            self.status.since = Some(self.now);
            self.wake_in(Duration::ZERO);
        }
        if let Some(run) = &self.status.run {
            let live = matches!(run.stage, Stage::Preparing | Stage::Analysing | Stage::Ending);
            self.wake = if live { self.wake.min(LIVE) } else { self.wake };
        }
        Step {
            status: self.status,
            ledger: self.ledger,
            wants: self.wants,
            notices: self.notices,
            verdict: self.verdict,
            measures: self.measures,
            wake: self.wake.max(SOONEST),
        }
    }

    /// Runs a phase that has a run. Without one the status is not ours; it begins anew with the next revision.
    fn with_run(&mut self, phase: impl FnOnce(&mut Self, &mut Run)) {
        match self.status.run.take() {
            Some(mut run) => {
                self.note_edit(&mut run);
                phase(self, &mut run);
                self.status.run = Some(run);
            }
            None => self.status.phase = Phase::Initialized,
        }
    }

    /// An edit of the Canary changes the filters' entry; within a generation it must not.
    fn note_edit(&self, run: &mut Run) {
        let routing = fingerprint(&self.plan.routing);
        if run.routing != routing {
            run.routing = routing;
            run.generation = run.generation.saturating_add(1);
        }
    }

    /// The decision of the committed status is in force: applied, and shown by the proxies or overdue.
    fn in_force(&mut self, run: &Run) -> bool {
        if !self.seen.projection.applied {
            self.wait("NotApplied", "its configuration to be applied");
            return false;
        }
        match self.seen.projection.acknowledged {
            Acknowledged::No => {
                self.wait("NotAcknowledged", "the proxies to show it");
                false
            }
            Acknowledged::Yes => true,
            Acknowledged::Overdue => {
                self.tell_overdue(run);
                true
            }
        }
    }

    /// Puts a weight in force from now on.
    fn set_weight(&self, run: &mut Run, weight: Weight) {
        if run.weight != weight {
            run.weight = weight;
            run.generation = run.generation.saturating_add(1);
        }
        self.begin_dwell(run);
    }

    /// The time at this weight begins anew, and with it the rounds.
    fn begin_dwell(&self, run: &mut Run) {
        run.step_since = self.now;
        run.dwell = crate::Dwell::Regular;
        run.round_since = Some(self.now);
        run.round_result = crate::RoundResult::None;
    }

    fn wait(&mut self, reason: &'static str, words: impl Into<String>) {
        self.waits.push(Wait { reason, words: words.into() });
    }

    fn wake_in(&mut self, span: Duration) {
        self.wake = self.wake.min(span);
    }

    /// What is left of a span; to be woken when it is over.
    fn left(&mut self, span: Duration, then: Timestamp) -> Duration {
        let left = left(span, then, self.now);
        if !left.is_zero() {
            self.wake_in(left);
        }
        left
    }
}

#[cfg(test)]
mod tests;
