//! Where a Canary stands, in the few words that all verbs share.

use jiff::Timestamp;
use serin_api::{Canary, CanaryStatus};
use serin_rollout::{Dwell, Phase, Plan, Run, Schedule, ScheduleStep, Stage, Status, VerdictState};
use serin_route::Weight;

/// Where a Canary stands, as far as that can be read.
pub(super) struct View {
    pub(super) canary: Canary,
    /// What the controller recorded; nothing before it has seen the Canary, or where Flagger wrote.
    pub(super) status: Option<Status>,
    /// What its author wants, checks aside; nothing if that is wrong.
    pub(super) plan: Option<Plan>,
}

impl View {
    pub(super) fn of(canary: Canary) -> Self {
        let recorded = canary.status.as_ref().map(CanaryStatus::rollout);
        let status = recorded.and_then(|it| it.ok().flatten());
        // The queries are none of our business, and their templates may be anywhere.
        let mut bare = canary.clone();
        bare.spec.analysis.metrics.clear();
        let plan = serin_api::plan(&bare, &[]).ok();
        Self { canary, status, plan }
    }

    pub(super) fn run(&self) -> Option<&Run> {
        self.status.as_ref()?.run.as_ref()
    }

    /// The run under way: until it is over, and while primary is replaced.
    pub(super) fn live(&self) -> Option<&Run> {
        let status = self.status.as_ref()?;
        let live = matches!(
            status.phase,
            Phase::Progressing | Phase::WaitingPromotion | Phase::Promoting | Phase::Finalising
        );
        status.run.as_ref().filter(|_| live)
    }

    /// As the status has it; `-` before there is any.
    pub(super) fn phase(&self) -> &'static str {
        match self.canary.status.as_ref().map_or("", |status| status.phase.name()) {
            "" => "-",
            name => name,
        }
    }

    /// What the canary gets.
    pub(super) fn weight(&self) -> Weight {
        match self.run() {
            Some(run) if run.stage == Stage::Failover => Weight::FULL,
            Some(run) => run.weight,
            None => Weight::ZERO,
        }
    }

    /// `2/5`, while a release is under way.
    pub(super) fn step(&self) -> Option<String> {
        let run = self.live()?;
        Some(match &self.plan.as_ref()?.schedule {
            Schedule::Steps(steps) => {
                format!("{}/{}", run.step.saturating_add(1).min(steps.len()), steps.len())
            }
            Schedule::Ab { iterations } | Schedule::BlueGreen { iterations } => {
                format!("{}/{iterations}", run.iterations)
            }
        })
    }

    /// What holds a release, and else what the evidence says.
    pub(super) fn verdict(&self) -> String {
        let status = self.canary.status.as_ref();
        if status.and_then(|it| it.serin.as_ref()).is_some_and(|it| !it.problems.is_empty()) {
            return "refused".to_owned();
        }
        if self.canary.spec.suspend {
            return "suspended".to_owned();
        }
        if self.status.as_ref().is_some_and(|status| status.paused) {
            return "paused".to_owned();
        }
        let run = self.run();
        if run.is_some_and(|run| run.quarantine.is_some() && !run.is_over()) {
            return "quarantined".to_owned();
        }
        let Some(verdict) = run.and_then(|run| run.verdict.as_ref()) else {
            return "-".to_owned();
        };
        match verdict.state {
            VerdictState::Pass => "pass".to_owned(),
            VerdictState::Fail => format!("fail: {}", verdict.reason),
            VerdictState::Inconclusive => "open".to_owned(),
        }
    }

    /// It stands still until a person resumes it.
    pub(super) fn needs_resume(&self) -> bool {
        let paused = self.status.as_ref().is_some_and(|status| status.paused);
        let Some(run) = self.live() else { return paused };
        let step = match self.plan.as_ref().map(|plan| &plan.schedule) {
            Some(Schedule::Steps(steps)) => steps.get(run.step),
            _ => None,
        };
        let endless = run.entered && step == Some(&ScheduleStep::Pause(None));
        paused || endless || run.dwell == Dwell::Expired
    }

    pub(super) fn created(&self) -> Option<Timestamp> {
        self.canary.metadata.creation_timestamp.as_ref().map(|time| time.0)
    }
}

#[cfg(test)]
pub(super) mod fixture {
    use serde_json::{Value, json};

    use super::*;

    /// A Canary of five steps with this rollout recorded.
    pub(in super::super) fn view(status: &Status) -> View {
        let mut canary = canary(&json!({}));
        let mut recorded = CanaryStatus::default();
        recorded.record(status, "Deployment", Timestamp::UNIX_EPOCH);
        canary.status = Some(recorded);
        View::of(canary)
    }

    pub(in super::super) fn canary(more: &Value) -> Canary {
        let mut object = json!({
            "apiVersion": "serin.dev/v1beta1",
            "kind": "Canary",
            "metadata": { "name": "shop", "namespace": "demo", "uid": "1" },
            "spec": {
                "targetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "shop" },
                "service": { "port": 80 },
                "analysis": { "interval": "30s", "stepWeights": [5, 10, 25, 50] },
            },
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            object["spec"][key] = value.clone();
        }
        serde_json::from_value(object).expect("a Canary")
    }

    /// A run under way at the third step.
    pub(in super::super) fn progressing() -> Status {
        let run = Run {
            revision: "new".to_owned(),
            stage: Stage::Analysing,
            weight: Weight::from_percent(25),
            generation: 4,
            step: 2,
            entered: true,
            ..Run::default()
        };
        Status {
            phase: Phase::Progressing,
            run: Some(run),
            promoted_revision: Some("old".to_owned()),
            tried_revision: Some("new".to_owned()),
            ..Status::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::fixture::{canary, progressing, view};
    use super::*;

    #[test]
    fn a_release_under_way_has_a_step_and_an_idle_one_has_none() {
        let live = view(&progressing());
        assert_eq!((live.step().as_deref(), live.phase()), (Some("3/4"), "Progressing"));
        let idle = view(&Status { phase: Phase::Succeeded, ..progressing() });
        assert_eq!((idle.step(), idle.phase()), (None, "Succeeded"));
        let new = View::of(canary(&json!({})));
        assert_eq!((new.phase(), new.verdict().as_str()), ("-", "-"));
    }

    #[test]
    fn what_holds_a_release_comes_before_what_the_evidence_says() {
        let mut status = progressing();
        status.paused = true;
        assert_eq!(view(&status).verdict(), "paused");
        assert_eq!(View::of(canary(&json!({ "suspend": true }))).verdict(), "suspended");
    }

    #[test]
    fn only_what_stands_still_needs_a_person() {
        assert!(!view(&progressing()).needs_resume());
        let mut expired = progressing();
        expired.run.as_mut().unwrap().dwell = Dwell::Expired;
        assert!(view(&expired).needs_resume());
        let paused = Status { paused: true, ..Status::default() };
        assert!(view(&paused).needs_resume());
    }
}
