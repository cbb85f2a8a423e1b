//! The schedule: what must hold for the next move, and the move.

use std::time::Duration;

use serin_route::{Track, Weight};

use super::Turn;
use super::gate::Gate;
use super::rollback::Ending;
use crate::clock::since;
use crate::evidence::Finding;
use crate::{
    Action, AdvanceGate, Dwell, GenerationTraffic, HookKind, NoticeKind, OnInconclusive, Phase,
    RoundResult,
};
use crate::{Run, Schedule, ScheduleStep, VerdictState};

impl Turn<'_> {
    /// The next move of the schedule, if nothing speaks against it.
    pub(super) fn advance(&mut self, run: &mut Run, finding: Finding) {
        if !self.in_force(run) {
            return;
        }
        if run.promote {
            return self.begin_promotion(run);
        }
        if self.status.paused {
            return self.wait("Paused", "a person to resume");
        }
        if run.quarantine.is_some() {
            return self.wait("Quarantined", "the evidence against it to fall or to convict");
        }
        let plan = self.plan;
        match &plan.schedule {
            Schedule::Steps(steps) => self.advance_steps(run, steps, finding),
            Schedule::Ab { iterations } => {
                self.iterate(run, *iterations, Weight::FULL, finding);
            }
            Schedule::BlueGreen { iterations } => {
                self.iterate(run, *iterations, Weight::ZERO, finding);
            }
        }
    }

    fn advance_steps(&mut self, run: &mut Run, steps: &[ScheduleStep], finding: Finding) {
        let least = match steps.get(run.step) {
            Some(ScheduleStep::Pause(None)) if run.entered => {
                return self.wait("Paused", "a person to resume (the schedule pauses here)");
            }
            Some(ScheduleStep::Pause(Some(span))) if run.entered => *span,
            Some(ScheduleStep::SetWeight(_)) if run.entered => self.plan.interval,
            _ => Duration::ZERO,
        };
        if !self.has_dwelt(run, least) {
            return;
        }
        if run.weight > Weight::ZERO && !self.is_cleared(run, least, finding) {
            return;
        }
        let next = if run.entered { run.step.saturating_add(1) } else { run.step };
        match steps.get(next) {
            Some(ScheduleStep::SetWeight(weight)) => self.enter_weight(run, next, *weight),
            Some(ScheduleStep::Pause(span)) => self.enter_pause(run, next, *span),
            None => self.confirm_promotion(run),
        }
    }

    fn enter_weight(&mut self, run: &mut Run, step: usize, weight: Weight) {
        if self.gate(run, HookKind::ConfirmTrafficIncrease) != Gate::Open {
            return;
        }
        let first = run.weight == Weight::ZERO;
        run.step = step;
        run.entered = true;
        self.set_weight(run, weight);
        let percent = f64::from(weight.basis_points()) / 100.0;
        let message = format!("Advance {} canary weight {percent}", self.subject());
        if first {
            // Nothing is known yet that could speak for it or against it.
            return self.tell(NoticeKind::Advanced, weight, message);
        }
        let verdict = self.verdict(VerdictState::Pass, Action::Advance, "Advanced");
        self.tell_verdict(run, NoticeKind::Advanced, message, verdict);
    }

    fn enter_pause(&mut self, run: &mut Run, step: usize, span: Option<Duration>) {
        run.step = step;
        run.entered = true;
        run.step_since = self.now;
        run.dwell = Dwell::Regular;
        let until = match span {
            Some(span) => format!("for {} s", span.as_secs()),
            None => "until a person resumes".to_owned(),
        };
        let message = format!("Pause {} {until}", self.subject());
        self.tell(NoticeKind::Held, run.weight, message);
        self.wake_in(span.unwrap_or(super::IDLE));
    }

    /// A/B and blue/green: rounds at one weight; blue/green ends with one round of all traffic.
    fn iterate(&mut self, run: &mut Run, iterations: u32, weight: Weight, finding: Finding) {
        let all = iterations.max(1);
        if run.iterations > 0 {
            let interval = self.plan.interval;
            if !self.has_dwelt(run, interval) || !self.is_cleared(run, interval, finding) {
                return;
            }
        }
        if run.iterations < all {
            run.iterations = run.iterations.saturating_add(1);
            let message =
                format!("Advance {} canary iteration {}/{all}", self.subject(), run.iterations);
            self.enter_iteration(run, weight, message);
        } else if weight == Weight::ZERO && run.iterations == all {
            if self.promotion_is_confirmed(run) {
                run.iterations = run.iterations.saturating_add(1);
                self.status.phase = Phase::Progressing;
                self.enter_iteration(run, Weight::FULL, "Routing all traffic to canary".to_owned());
            }
        } else {
            self.confirm_promotion(run);
        }
    }

    fn enter_iteration(&mut self, run: &mut Run, weight: Weight, message: String) {
        run.entered = true;
        self.set_weight(run, weight);
        let verdict = self.verdict(VerdictState::Pass, Action::Advance, "Advanced");
        self.tell_verdict(run, NoticeKind::Advanced, message, verdict);
    }

    fn confirm_promotion(&mut self, run: &mut Run) {
        if self.promotion_is_confirmed(run) {
            self.begin_promotion(run);
        }
    }

    fn promotion_is_confirmed(&mut self, run: &Run) -> bool {
        let gate = self.gate(run, HookKind::ConfirmPromotion);
        if gate == Gate::Closed {
            self.status.phase = Phase::WaitingPromotion;
        }
        gate == Gate::Open
    }

    fn has_dwelt(&mut self, run: &Run, least: Duration) -> bool {
        let left = self.left(least, run.step_since);
        if !left.is_zero() {
            self.wait("Interval", format!("its interval ({:.0} s)", left.as_secs_f64().ceil()));
        }
        left.is_zero()
    }

    /// Checks, and evidence where the plan asks for it, are good enough to go on; or the inconclusive policy says so.
    fn is_cleared(&mut self, run: &mut Run, least: Duration, finding: Finding) -> bool {
        let waits_before = self.waits.len();
        match run.round_result {
            RoundResult::Passed => {}
            RoundResult::None | RoundResult::Open => self.wait("Checks", "its checks"),
            RoundResult::NoData => self.wait("NoData", "data for its checks"),
            RoundResult::Failed => self.wait("ChecksFailed", "a round without failed checks"),
        }
        if finding == Finding::Environment {
            self.wait("Environment", "primary to keep its objectives too");
        }
        self.await_gate(run);
        if self.waits.len() == waits_before {
            return true;
        }
        let inconclusive = matches!(run.round_result, RoundResult::Passed | RoundResult::NoData);
        inconclusive && self.has_overstayed(run, least)
    }

    /// What the plan wants to see beside the checks.
    fn await_gate(&mut self, run: &Run) {
        let gate = self.plan.evidence.gate;
        if gate == AdvanceGate::Checks || run.weight == Weight::ZERO {
            return;
        }
        if self.seen.traffic.heard == 0 {
            self.wait("NoReports", "the proxies to report");
        }
        if !self.has_served(run) {
            self.wait("NoTraffic", "a request that the canary serves at this weight");
        }
        if gate == AdvanceGate::Pass {
            for words in self.ledger.unproven(self.plan) {
                self.wait("NoEvidence", words);
            }
        }
    }

    fn has_served(&self, run: &Run) -> bool {
        let now = |it: &&GenerationTraffic| it.generation == run.generation;
        let in_force = self.seen.traffic.generations.iter().filter(now);
        let mut cells = in_force.flat_map(|generation| &generation.cells);
        cells.any(|cell| cell.track == Track::Canary && cell.requests > 0)
    }

    /// The longest dwell is over, twice: what then? True if the release goes on all the same.
    fn has_overstayed(&mut self, run: &mut Run, least: Duration) -> bool {
        let once = self.plan.evidence.dwell_max.max(least);
        let longest = if run.dwell == Dwell::Regular { once } else { once.saturating_mul(2) };
        if since(run.step_since, self.now) < longest {
            self.left(longest, run.step_since);
            return false;
        }
        match (run.dwell, self.plan.evidence.on_inconclusive) {
            (Dwell::Regular, _) => {
                run.dwell = Dwell::Extended;
                self.tell_held(run, "its longest time at this weight is extended once");
            }
            (Dwell::Extended, OnInconclusive::Hold) => {
                run.dwell = Dwell::Expired;
                self.tell_held(run, "nothing is concluded; a person must decide");
            }
            (Dwell::Extended, OnInconclusive::Rollback) => {
                let message =
                    format!("Rolling back {} nothing was concluded in time", self.subject());
                self.roll_back(run, Ending::new("Inconclusive", message));
            }
            (Dwell::Extended, OnInconclusive::Promote) => return true,
            (Dwell::Expired, _) => self.wait("Inconclusive", "a person to decide"),
        }
        false
    }

    pub(super) fn tell_held(&mut self, run: &mut Run, why: &str) {
        let reason = self.waits.first().map_or("Inconclusive", |wait| wait.reason);
        let verdict = self.verdict(VerdictState::Inconclusive, Action::Hold, reason);
        let message = format!("Hold {}: {why}", self.subject());
        self.tell_verdict(run, NoticeKind::Held, message, verdict);
    }
}
