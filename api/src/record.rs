//! A rollout's status as a Canary's, and back: what Flagger's users read of it, in their words, and all of it beside
//! that.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serin_rollout::{Phase, Stage, Status};
use serin_route::Weight;

use crate::canary::{CanaryPhase, CanaryStatus, Condition, StatusProblem, Verbatim};
use crate::{Problem, Problems};

/// The one condition; Flagger's. No `Ready` and no `Reconciling`: whoever applied the object would wait for them.
const PROMOTED: &str = "Promoted";

impl CanaryStatus {
    /// Where the rollout stands, as it was recorded; none if we never recorded one, be the Canary new or Flagger's.
    /// Then a rollout begins with [`Status::default`], and takes what primary runs as promoted.
    pub fn rollout(&self) -> Result<Option<Status>, Problem> {
        let Some(Verbatim(fields)) = self.serin.as_ref().and_then(|it| it.rollout.as_ref()) else {
            return Ok(None);
        };
        Status::deserialize(Value::Object(fields.clone())).map(Some).map_err(|error| {
            Problem::new("status.serin.rollout", format!("is no status of a rollout: {error}"))
        })
    }

    /// Records where a rollout stands; `kind` is the target's. Problems that were recorded are over. What is not the
    /// rollout's stays as it is.
    pub fn record(&mut self, rollout: &Status, kind: &str, now: Timestamp) {
        let before = self.flaggers();
        let run = rollout.run.as_ref();
        self.phase = rollout.phase.into();
        self.failed_checks = run.map_or(0, |run| run.failed_checks.into());
        self.iterations = run.map_or(0, |run| run.iterations.into());
        self.canary_weight = percent(weight(rollout));
        self.last_applied_spec.clone_from(&rollout.tried_revision);
        self.last_promoted_spec.clone_from(&rollout.promoted_revision);
        self.promoted(told(rollout, kind), now);
        if self.flaggers() != before {
            self.last_transition_time = Some(seconds(now));
        }
        let ours = self.serin.get_or_insert_default();
        ours.problems.clear();
        ours.rollout = match serde_json::to_value(rollout) {
            Ok(Value::Object(fields)) => Some(Verbatim(fields)),
            _ => None,
        };
    }

    /// Records what is wrong with the Canary. Where its rollout stands is kept.
    pub fn refuse(&mut self, problems: &Problems) {
        let problem = |problem: &Problem| StatusProblem {
            field: problem.path.clone(),
            message: problem.message.clone(),
        };
        let recorded = problems.iter().map(problem).collect();
        self.serin.get_or_insert_default().problems = recorded;
    }

    /// Records that the Canary is being deleted. Where its rollout stood is kept: what is taken back follows from it.
    pub fn terminate(&mut self, kind: &str, now: Timestamp) {
        let before = self.flaggers();
        self.phase = CanaryPhase::Terminating;
        (self.canary_weight, self.iterations) = (0, 0);
        // Flagger's words of this phase.
        let message = format!("New {kind} detected, starting initialization.");
        self.promoted(("Unknown", message), now);
        if self.flaggers() != before {
            self.last_transition_time = Some(seconds(now));
        }
        self.serin.get_or_insert_default().problems.clear();
    }

    fn promoted(&mut self, (status, message): (&str, String), now: Timestamp) {
        let reason = Some(self.phase.name().to_owned());
        let position = self.conditions.iter().position(|it| it.kind == PROMOTED);
        let before = position.map(|at| self.conditions.remove(at)).unwrap_or_default();
        let same = before.status == status && before.last_transition_time.is_some();
        let mut condition = Condition {
            kind: PROMOTED.to_owned(),
            status: status.to_owned(),
            last_update_time: before.last_update_time.clone(),
            last_transition_time: before.last_transition_time.clone().filter(|_| same),
            reason,
            message: Some(message),
        };
        if condition != before {
            condition.last_update_time = Some(seconds(now));
            condition.last_transition_time.get_or_insert_with(|| seconds(now));
        }
        self.conditions.insert(position.unwrap_or(0), condition);
    }

    /// Without our own part.
    fn flaggers(&self) -> Self {
        Self { serin: None, ..self.clone() }
    }
}

/// Whether it is promoted, in Flagger's words. Only of a failed promotion Flagger says what is not so.
fn told(rollout: &Status, kind: &str) -> (&'static str, String) {
    let failover = rollout.run.as_ref().is_some_and(|run| run.stage == Stage::Failover);
    let (status, message) = match rollout.phase {
        Phase::Initializing => {
            ("Unknown", format!("New {kind} detected, starting initialization."))
        }
        Phase::Initialized => ("True", format!("{kind} initialization completed.")),
        Phase::Waiting | Phase::WaitingPromotion => ("Unknown", "Waiting for approval.".to_owned()),
        Phase::Progressing => {
            ("Unknown", "New revision detected, progressing canary analysis.".to_owned())
        }
        Phase::Promoting => {
            ("Unknown", "Canary analysis completed, starting primary rolling update.".to_owned())
        }
        Phase::Finalising => {
            ("Unknown", "Canary analysis completed, routing all traffic to primary.".to_owned())
        }
        Phase::Succeeded => {
            ("True", "Canary analysis completed successfully, promotion finished.".to_owned())
        }
        Phase::Failed if failover => {
            ("False", "Promotion failed, primary not ready: canary serves all traffic.".to_owned())
        }
        Phase::Failed => ("False", format!("Canary analysis failed, {kind} scaled to zero.")),
    };
    (status, message)
}

/// What the canary gets: after a failed promotion everything.
fn weight(rollout: &Status) -> Weight {
    match &rollout.run {
        Some(run) if run.stage == Stage::Failover => Weight::FULL,
        Some(run) => run.weight,
        None => Weight::ZERO,
    }
}

/// Whole percent, which is what Flagger's readers parse: 0 and 100 only where it is exactly that.
fn percent(weight: Weight) -> i64 {
    let points = i64::from(weight.basis_points());
    if points == 0 || points == 10_000 { points / 100 } else { ((points + 50) / 100).clamp(1, 99) }
}

/// A time as Kubernetes writes it.
fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
