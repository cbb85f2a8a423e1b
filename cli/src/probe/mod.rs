//! Finds out what a step wants to know: asks Prometheus, calls webhooks. Bounded in number, size and time, and never in
//! the way of a decision: answers are picked up when they are there.

mod hook;
mod prometheus;
mod url;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serin_rollout::{
    Answer, CheckSource, HookKind, HookPayload, Notice, Plan, Probe, Severity, Value,
};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use url::Url;

/// Questions on their way at the same time; the rest wait.
const QUESTIONS_MAX: usize = 8;
/// Events on their way at the same time. They have their own measure, so that nobody's silence delays a question.
const EVENTS_MAX: usize = 4;

/// The addresses of a plan that nobody here can ask, each with the reason.
pub fn unreachable(plan: &Plan) -> Vec<String> {
    let hooks = plan.hooks.iter().map(|hook| (&hook.name, &hook.url));
    let queries = plan.checks.iter().filter_map(|check| match &check.source {
        CheckSource::Query { address, .. } => Some((&check.name, address)),
        CheckSource::SuccessRate | CheckSource::Duration99 => None,
    });
    let problem = |(name, url): (&String, &String)| {
        Url::parse(url).err().map(|error| format!("{name}: {error}"))
    };
    hooks.chain(queries).filter_map(problem).collect()
}

/// Asks questions and hands in the answers.
#[derive(Debug)]
pub struct Prober {
    question_permits: Arc<Semaphore>,
    event_permits: Arc<Semaphore>,
    asked: BTreeSet<Probe>,
    answers: JoinSet<Answer>,
    events: JoinSet<()>,
}

impl Default for Prober {
    fn default() -> Self {
        Self {
            question_permits: Arc::new(Semaphore::new(QUESTIONS_MAX)),
            event_permits: Arc::new(Semaphore::new(EVENTS_MAX)),
            asked: BTreeSet::new(),
            answers: JoinSet::new(),
            events: JoinSet::new(),
        }
    }
}

impl Prober {
    /// Asks a question, unless it is on its way. `revision` is the one under trial, for webhooks.
    pub fn ask(&mut self, plan: &Plan, revision: &str, probe: &Probe) {
        if !self.asked.insert(probe.clone()) {
            return;
        }
        let permits = Arc::clone(&self.question_permits);
        let question = question(plan, revision, probe);
        let probe = probe.clone();
        self.answers.spawn(async move {
            let _permit = permits.acquire().await;
            let result = match question {
                Some(question) => question.ask().await,
                None => Err("the plan has no such check or hook".to_owned()),
            };
            Answer { probe, result }
        });
    }

    /// Calls the event hooks, if there are any, and waits for nothing.
    pub fn tell(&mut self, plan: &Plan, revision: &str, notice: &Notice) {
        while self.events.try_join_next().is_some() {}
        for hook in plan.hooks.iter().filter(|hook| hook.kind == HookKind::Event) {
            let mut payload = payload(plan, revision, notice.phase);
            payload.metadata = event(notice);
            payload.metadata.extend(hook.metadata.clone());
            let (hook, permits) = (hook.clone(), Arc::clone(&self.event_permits));
            self.events.spawn(async move {
                let _permit = permits.acquire().await;
                // Telling is best effort: nothing that happens to a release depends on who listens.
                let _ = hook::call(&hook, &payload).await;
            });
        }
    }

    /// The next answer; waits for ever while nothing is asked. May be dropped and called again without loss.
    pub async fn next(&mut self) -> Answer {
        loop {
            match self.answers.join_next().await {
                Some(Ok(answer)) => {
                    self.asked.remove(&answer.probe);
                    return answer;
                }
                // A question that broke down may be asked again.
                Some(Err(_)) => self.asked.clear(),
                None => std::future::pending::<()>().await,
            }
        }
    }

    /// Nobody waits for what happens after a release; whatever else is still asked cannot change it.
    pub fn is_settled(&self) -> bool {
        !self
            .asked
            .iter()
            .any(|probe| matches!(probe, Probe::Hook { kind: HookKind::PostRollout, .. }))
    }

    /// Gives events that are on their way some time to arrive.
    pub async fn finish(mut self, grace: Duration) {
        let arrived = async { while self.events.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(grace, arrived).await;
    }
}

/// All that is needed to ask, without the plan.
enum Question {
    Query { address: String, query: String },
    Hook { hook: serin_rollout::Hook, payload: HookPayload },
}

impl Question {
    async fn ask(&self) -> Result<Value, String> {
        match self {
            Self::Query { address, query } => prometheus::query(address, query).await,
            Self::Hook { hook, payload } => {
                hook::call(hook, payload).await.map(|()| Value::Approved)
            }
        }
    }
}

fn question(plan: &Plan, revision: &str, probe: &Probe) -> Option<Question> {
    match probe {
        Probe::Check { index, .. } => match &plan.checks.get(*index)?.source {
            CheckSource::Query { address, query } => {
                Some(Question::Query { address: address.clone(), query: query.clone() })
            }
            CheckSource::SuccessRate | CheckSource::Duration99 => None,
        },
        Probe::Hook { index, phase, .. } => {
            let hook = plan.hooks.get(*index)?.clone();
            let metadata = hook.metadata.clone();
            Some(Question::Hook {
                hook,
                payload: HookPayload { metadata, ..payload(plan, revision, *phase) },
            })
        }
    }
}

fn payload(plan: &Plan, revision: &str, phase: serin_rollout::Phase) -> HookPayload {
    HookPayload {
        name: plan.canary.clone(),
        namespace: plan.namespace.clone(),
        phase,
        checksum: revision.to_owned(),
        metadata: std::collections::BTreeMap::new(),
    }
}

/// What Flagger tells of an event.
fn event(notice: &Notice) -> std::collections::BTreeMap<String, String> {
    let kind = if notice.severity == Severity::Info { "Normal" } else { "Warning" };
    [
        ("eventMessage", notice.message.clone()),
        ("eventType", kind.to_owned()),
        ("timestamp", notice.at.as_millisecond().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
