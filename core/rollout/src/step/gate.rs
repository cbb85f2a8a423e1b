//! Webhooks: the answers that came, the gates that must open, the hooks that follow the end.

use serin_route::Weight;

use super::Turn;
use crate::clock::since;
use crate::fingerprint::fingerprint;
use crate::{Answer, Hook, HookKind, NoticeKind, Phase, Probe, Run, Value};

/// Answers kept: as many as a plan of a hundred hooks and checks has in two rounds.
const ANSWERS_MAX: usize = 256;

/// A gate's state in one round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    Closed,
    /// The answer is awaited.
    Asked,
}

impl Turn<'_> {
    /// Keeps the answers that came, for they are given once.
    pub(super) fn remember_answers(&mut self) {
        let asked = fingerprint(&(&self.plan.hooks, &self.plan.checks, &self.seen.revision));
        if self.ledger.asked != asked {
            // What another hook said, or this one of another revision, opens no gate.
            self.ledger.answers.clear();
            self.ledger.asked = asked;
        }
        for answer in &self.seen.answers {
            let mut answer = answer.clone();
            if let Ok(Value::Number(number)) = answer.result
                && !number.is_finite()
            {
                answer.result = Ok(Value::NoData);
            }
            let answers = &mut self.ledger.answers;
            answers.retain(|known| known.probe != answer.probe);
            answers.push(answer);
        }
        let surplus = self.ledger.answers.len().saturating_sub(ANSWERS_MAX);
        self.ledger.answers.drain(..surplus);
    }

    /// Forgets the answers of rounds before this one.
    pub(super) fn forget_answers_before(&mut self, round: u64) {
        self.ledger.answers.retain(|answer| match answer.probe {
            Probe::Check { round: of, .. } | Probe::Hook { round: of, .. } => of >= round,
        });
    }

    /// The answer to a probe; if there is none, it is wanted.
    pub(super) fn ask(&mut self, probe: Probe) -> Option<Result<Value, String>> {
        let known = |answer: &&Answer| answer.probe == probe;
        let answer = self.ledger.answers.iter().find(known).map(|answer| answer.result.clone());
        if answer.is_none() && !self.wants.contains(&probe) {
            self.wants.push(probe);
        }
        answer
    }

    /// Asks a hook. Anything but an error says yes.
    pub(super) fn ask_hook(
        &mut self,
        index: usize,
        hook: &Hook,
        round: u64,
    ) -> Option<Result<(), String>> {
        let phase = self.phase_told(hook.kind);
        // The phase is what the hook is told, not what tells its answers apart.
        let answered = self.ledger.answers.iter().find_map(|answer| match answer.probe {
            Probe::Hook { index: of, round: at, .. } if of == index && at == round => {
                Some(answer.result.clone().map(|_| ()))
            }
            _ => None,
        });
        let probe = Probe::Hook { index, round, phase, kind: hook.kind };
        answered.or_else(|| self.ask(probe).map(|result| result.map(|_| ())))
    }

    /// The phase that a hook is told: what Flagger's users know their hooks to be sent.
    fn phase_told(&self, kind: HookKind) -> Phase {
        match kind {
            HookKind::PreRollout
            | HookKind::Rollout
            | HookKind::ConfirmTrafficIncrease
            | HookKind::ConfirmPromotion => Phase::Progressing,
            HookKind::ConfirmRollout if self.has_just_begun_to_wait() => {
                self.phase_before_waiting()
            }
            _ => self.status.phase,
        }
    }

    fn has_just_begun_to_wait(&self) -> bool {
        since(self.status.since.unwrap_or(self.now), self.now) < self.plan.interval
    }

    /// A gate of the run's round.
    pub(super) fn gate(&mut self, run: &Run, kind: HookKind) -> Gate {
        let gate = self.gate_of(kind, run.round, run.weight);
        if gate != Gate::Open {
            self.wait("Gate", format!("approval by its {} hook", spelled(kind)));
        }
        gate
    }

    /// All hooks of a kind must say yes, in order. A closed one is told once, and asked again with the next round.
    pub(super) fn gate_of(&mut self, kind: HookKind, round: u64, weight: Weight) -> Gate {
        let plan = self.plan;
        for (index, hook) in plan.hooks.iter().enumerate().filter(|(_, hook)| hook.kind == kind) {
            let told = format!("gate {index}");
            match self.ask_hook(index, hook, round) {
                Some(Ok(())) => {
                    self.untell(&told);
                    let message = format!("{} check {} passed", capitalised(kind), hook.name);
                    let key = format!("passed {index} {round}");
                    self.tell_once(key, NoticeKind::CheckPassed, weight, message);
                }
                Some(Err(_)) => {
                    let message = format!(
                        "Halt {} advancement waiting for {} {}",
                        self.subject(),
                        what_for(kind),
                        hook.name
                    );
                    self.tell_once(told, NoticeKind::GateClosed, weight, message);
                    return Gate::Closed;
                }
                None => return Gate::Asked,
            }
        }
        Gate::Open
    }

    /// The rollback hook that asks for a rollback. All are asked in every round, and none waits for another.
    pub(super) fn rollback_hook(&mut self, run: &Run) -> Option<String> {
        let plan = self.plan;
        let hooks = plan.hooks.iter().enumerate();
        let mut approved = None;
        for (index, hook) in hooks.filter(|(_, hook)| hook.kind == HookKind::Rollback) {
            if self.ask_hook(index, hook, run.round) == Some(Ok(())) {
                approved = approved.or_else(|| Some(hook.name.clone()));
            }
        }
        approved
    }

    /// A round does not pass before its rollback hooks have said no.
    pub(super) fn awaits_rollback_hooks(&mut self, run: &Run) -> bool {
        let plan = self.plan;
        let hooks = plan.hooks.iter().enumerate();
        let mut awaited = false;
        for (index, hook) in hooks.filter(|(_, hook)| hook.kind == HookKind::Rollback) {
            awaited |= self.ask_hook(index, hook, run.round).is_none();
        }
        awaited
    }

    /// Post-rollout hooks: each once, in order; the first that fails ends them.
    pub(super) fn after_rollout(&mut self) {
        let Some(mut run) = self.status.run.take() else { return };
        let plan = self.plan;
        let hooks = plan.hooks.iter().enumerate();
        let hooks = hooks.filter(|(_, hook)| hook.kind == HookKind::PostRollout);
        let round = run.round.saturating_add(1);
        for (index, hook) in hooks.skip(run.post_hooks) {
            let Some(answer) = self.ask_hook(index, hook, round) else { break };
            run.post_hooks = run.post_hooks.saturating_add(1);
            if let Err(error) = answer {
                run.post_hooks = plan.hooks.len();
                let message = format!("Post-rollout hook {} failed {error}", hook.name);
                self.tell(NoticeKind::Warning, run.weight, message);
                break;
            }
            let message = format!("Post-rollout check {} passed", hook.name);
            self.tell(NoticeKind::CheckPassed, run.weight, message);
        }
        self.status.run = Some(run);
    }
}

fn spelled(kind: HookKind) -> &'static str {
    match kind {
        HookKind::ConfirmRollout => "confirm-rollout",
        HookKind::PreRollout => "pre-rollout",
        HookKind::Rollout => "rollout",
        HookKind::ConfirmTrafficIncrease => "confirm-traffic-increase",
        HookKind::ConfirmPromotion => "confirm-promotion",
        HookKind::PostRollout => "post-rollout",
        HookKind::Rollback => "rollback",
        HookKind::Event => "event",
    }
}

fn capitalised(kind: HookKind) -> &'static str {
    match kind {
        HookKind::ConfirmTrafficIncrease => "Confirm-traffic-increase",
        HookKind::ConfirmPromotion => "Confirm-promotion",
        _ => "Confirm-rollout",
    }
}

fn what_for(kind: HookKind) -> &'static str {
    match kind {
        HookKind::ConfirmTrafficIncrease => "traffic increase approval",
        HookKind::ConfirmPromotion => "promotion approval",
        _ => "approval",
    }
}
