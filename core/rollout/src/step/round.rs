//! Rounds: once each interval, first the hooks, then the checks, in order. The first miss ends a round and counts; a
//! round without data neither passes nor fails.

use super::Turn;
use super::rollback::Ending;
use crate::clock::since;
use crate::{Check, CheckSource, HookKind, NoticeKind, Probe, RoundResult, Run, Stage, Value};
use serin_route::Weight;

/// What came of a round, or of one check.
enum Outcome {
    Pending,
    Passed,
    NoData(String),
    Failed(String),
}

impl Turn<'_> {
    /// Begins a round if it is time for one, and takes its answers.
    pub(super) fn rounds(&mut self, run: &mut Run) {
        let due = run.round_since.is_none_or(|then| since(then, self.now) >= self.plan.interval);
        if run.round_result != RoundResult::Open && due {
            self.begin_round(run);
        }
        if run.round_result == RoundResult::Open {
            match self.evaluate(run) {
                Outcome::Pending => {}
                Outcome::Passed => pass_round(run),
                Outcome::NoData(message) => {
                    run.round_result = RoundResult::NoData;
                    self.tell(NoticeKind::CheckFailed, run.weight, message);
                }
                Outcome::Failed(message) => self.fail_round(run, message),
            }
        }
        if let (Some(then), false) = (run.round_since, run.round_result == RoundResult::Open) {
            self.left(self.plan.interval, then);
        }
        if run.stage == Stage::Preparing {
            self.wait("PreRollout", "its pre-rollout hooks");
        }
    }

    fn begin_round(&mut self, run: &mut Run) {
        if run.stage == Stage::Preparing && run.round_since.is_none() {
            let message = format!("Starting canary analysis for {}", self.target());
            self.tell(NoticeKind::Held, run.weight, message);
        }
        run.round = run.round.saturating_add(1);
        run.round_since = Some(self.now);
        run.round_result = RoundResult::Open;
        self.forget_answers_before(run.round);
        self.ledger.told.retain(|told| !told.starts_with("passed "));
    }

    /// Failures add up over the run; the threshold acts at once.
    fn fail_round(&mut self, run: &mut Run, message: String) {
        run.round_result = RoundResult::Failed;
        run.failed_checks = run.failed_checks.saturating_add(1);
        self.tell(NoticeKind::CheckFailed, run.weight, message);
        if run.failed_checks >= self.plan.threshold.max(1) {
            let message = format!(
                "Rolling back {} failed checks threshold reached {}",
                self.subject(),
                run.failed_checks
            );
            self.roll_back(run, Ending::new("ThresholdReached", message));
        }
    }

    fn evaluate(&mut self, run: &Run) -> Outcome {
        if run.stage == Stage::Preparing {
            return self.hooks(HookKind::PreRollout, run.round, run.weight);
        }
        if self.awaits_rollback_hooks(run) {
            return Outcome::Pending;
        }
        if run.weight == Weight::ZERO && run.iterations == 0 && run.quarantine.is_none() {
            // Before the first weight there is nothing to check.
            return Outcome::Passed;
        }
        match self.hooks(HookKind::Rollout, run.round, run.weight) {
            Outcome::Passed => self.checks(run.round),
            other => other,
        }
    }

    fn hooks(&mut self, kind: HookKind, round: u64, weight: Weight) -> Outcome {
        let plan = self.plan;
        for (index, hook) in plan.hooks.iter().enumerate().filter(|(_, hook)| hook.kind == kind) {
            let subject = self.subject();
            match self.ask_hook(index, hook, round) {
                None => return Outcome::Pending,
                Some(Ok(())) if kind == HookKind::PreRollout => {
                    let message = format!("Pre-rollout check {} passed", hook.name);
                    let key = format!("passed {index} {round}");
                    self.tell_once(key, NoticeKind::CheckPassed, weight, message);
                }
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    let which = match kind {
                        HookKind::PreRollout => "pre-rollout",
                        _ => "external",
                    };
                    let name = &hook.name;
                    return Outcome::Failed(format!(
                        "Halt {subject} advancement {which} check {name} failed {error}"
                    ));
                }
            }
        }
        Outcome::Passed
    }

    /// All queries are asked at once; the checks count in order.
    fn checks(&mut self, round: u64) -> Outcome {
        let plan = self.plan;
        let mut worst = Outcome::Passed;
        let results: Vec<Outcome> = plan
            .checks
            .iter()
            .enumerate()
            .map(|(index, check)| self.check(index, check, round))
            .collect();
        if results.iter().any(|result| matches!(result, Outcome::Pending)) {
            return Outcome::Pending;
        }
        for result in results {
            match result {
                Outcome::Failed(message) => return Outcome::Failed(message),
                Outcome::NoData(message) if matches!(worst, Outcome::Passed) => {
                    worst = Outcome::NoData(message);
                }
                _ => {}
            }
        }
        worst
    }

    fn check(&mut self, index: usize, check: &Check, round: u64) -> Outcome {
        let subject = self.subject();
        let halt = format!("Halt {subject} advancement");
        let no_values = |name: &str| {
            format!(
                "Halt advancement no values found for metric {name} probably {subject} is not receiving traffic"
            )
        };
        let name = &check.name;
        match &check.source {
            CheckSource::SuccessRate => match self.ledger.success_rate(check.interval, self.now) {
                Some(rate) => self.compare(index, check, rate, |sign, bound| {
                    format!("{halt} success rate {rate:.2}% {sign} {bound}%")
                }),
                None => Outcome::NoData(no_values(name)),
            },
            CheckSource::Duration99 => {
                match self.ledger.duration_99(self.plan, check.interval, self.now) {
                    Some(millis) => self.compare(index, check, millis, |sign, bound| {
                        format!("{halt} request duration {millis:.1}ms {sign} {bound}ms")
                    }),
                    None => Outcome::NoData(no_values(name)),
                }
            }
            CheckSource::Query { .. } => match self.ask(Probe::Check { index, round }) {
                None => Outcome::Pending,
                Some(Ok(Value::Number(number))) => {
                    self.compare(index, check, number, |sign, bound| {
                        format!("{halt} {name} {number:.2} {sign} {bound}")
                    })
                }
                Some(Ok(_)) => Outcome::NoData(format!(
                    "Halt advancement no values found for custom metric: {name}"
                )),
                // Who cannot answer knows nothing against the canary.
                Some(Err(error)) => {
                    Outcome::NoData(format!("Metric query failed for {name}: {error}"))
                }
            },
        }
    }

    /// Bounds are inclusive: only what lies strictly beyond fails.
    fn compare(
        &mut self,
        index: usize,
        check: &Check,
        value: f64,
        message: impl Fn(char, f64) -> String,
    ) -> Outcome {
        self.measures.push((index, value));
        match (check.min, check.max) {
            (Some(min), _) if value < min => Outcome::Failed(message('<', min)),
            (_, Some(max)) if value > max => Outcome::Failed(message('>', max)),
            _ => Outcome::Passed,
        }
    }
}

fn pass_round(run: &mut Run) {
    run.round_result = RoundResult::Passed;
    if run.stage == Stage::Preparing {
        run.stage = Stage::Analysing;
    }
}
