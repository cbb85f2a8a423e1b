//! One look at one Canary: `observe → plan → step → commit → apply → announce`.
//!
//! Status is the truth and the cluster its projection: nothing is applied that is not committed, and what is committed
//! is applied until it holds. Whatever stops a turn, the next one begins anew from what is there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kube::Error;
use kube::runtime::controller::Action;
use serin_api::{Canary, CanaryStatus, Problems, keys};
use serin_rollout::{Severity, Status};
use thiserror::Error as ThisError;

use crate::announce::{announce, tell};
use crate::apply::{ApplyError, apply};
use crate::commit::{commit, heed};
use crate::context::{Context, Memory};
use crate::decide::{Circumstances, decide};
use crate::identity::Identity;
use crate::interests::Key;
use crate::observe::{neighbours, observe, strangers};
use crate::plan::{no_target, plan, rival};
use crate::probes::About;
use crate::resources::words;
use crate::templates::Unread;
use crate::{clock, observe as read};

/// Somebody was faster, or something was applied that was not before: look again.
const SOON: Duration = Duration::from_millis(20);
/// After the first failure; then twice as long each time.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_mins(1);
/// An older Canary has the target, and its end wakes nobody.
const RIVAL: Duration = Duration::from_secs(30);

/// Why a turn did not come to its end.
#[derive(Debug, ThisError)]
pub(crate) enum Stop {
    /// Something is wrong with the Canary; nothing is done for it.
    #[error("{0}")]
    Refused(Problems),
    /// An older Canary has the target; nothing is done for this one.
    #[error("{0}")]
    Rival(Problems),
    /// Its author wants it left alone.
    #[error("skipping canary run as object is suspended")]
    Suspended,
    /// It was written meanwhile.
    #[error("the Canary has changed meanwhile")]
    Conflict,
    /// The API server does not do what it is asked.
    #[error("the API server: {}", words(.0))]
    Cluster(Box<Error>),
    /// Not all objects are as they should be.
    #[error(transparent)]
    Apply(ApplyError),
    /// It refers to templates, and nobody knows which there are.
    #[error(transparent)]
    Templates(#[from] Unread),
    /// The system has no randomness.
    #[error("no random numbers: {0}")]
    Dice(#[from] getrandom::Error),
}

/// Looks at a Canary.
pub(crate) async fn reconcile(woken: Arc<Canary>, context: Arc<Context>) -> Result<Action, Stop> {
    let Some(canary) = read::canary(&context.client, &woken).await? else {
        context.forget(&Key::of(&woken));
        return Ok(Action::await_change());
    };
    if canary.metadata.deletion_timestamp.is_some() {
        // What it owns goes with it.
        return Ok(Action::await_change());
    }
    let memory = context.memory(&canary);
    let mut memory = memory.lock().await;
    let outcome = turn(&context, &canary, &mut memory).await;
    let action = settle(&context, &canary, &mut memory, outcome).await;
    memory.failures = if action.is_ok() { 0 } else { memory.failures.saturating_add(1) };
    action
}

/// When to try again.
#[expect(clippy::needless_pass_by_value, reason = "the runtime calls it so")]
pub(crate) fn failed(canary: Arc<Canary>, stop: &Stop, context: Arc<Context>) -> Action {
    let memory = context.memory(&canary);
    let failures = memory.try_lock().map_or(1, |memory| memory.failures).clamp(1, 16);
    let wait = RETRY.saturating_mul(1 << (failures - 1)).min(RETRY_MAX);
    tracing::debug!(canary = canary.name(), %stop, ?wait, "a turn failed");
    Action::requeue(wait)
}

async fn turn(context: &Context, canary: &Canary, memory: &mut Memory) -> Result<Action, Stop> {
    let release = plan(canary, &context.templates.of(canary).await?)?;
    if release.suspended {
        return Err(Stop::Suspended);
    }
    rival(canary, &neighbours(context, canary).await?).map_err(Stop::Rival)?;
    let status = committed(canary)?;
    let seen = observe(context, canary, &release, &status, memory.primary_replicas).await?;
    let seen = seen.ok_or_else(|| no_target(canary))?;
    memory.primary_replicas = seen.primary_replicas();
    memory.asked.collect(&release, seen.revision());
    let decision = decide(canary, &release, &status, memory, &seen, &circumstances()?)
        .map_err(|error| refusal("spec.targetRef", &error))?;
    strangers(context, canary, &seen, &decision.objects).await?;

    commit(&context.client, canary, decision.status).await?;
    memory.asked.had();
    memory.ledger = decision.step.ledger;
    let applied = apply(&context.client, &Identity::of(canary), decision.objects, &seen.ours).await;
    let (status, revision) = (&decision.step.status, seen.revision());
    let about = About { canary, release: &release, status, revision };
    context.probes.ask(&mut memory.asked, about, &decision.step.wants);
    context.probes.tell(&mut memory.asked, about, &decision.step.notices);
    announce(context, canary, &decision.step.notices).await;
    if canary.metadata.annotations.iter().flatten().any(|(key, _)| key == keys::INTENT) {
        heed(&context.client, canary).await?;
    }
    memory.applied.take_if(|_| applied.is_err());
    applied?;
    tell_once(context, canary, memory, decision.lines).await;
    let new = memory.applied.replace(decision.wanted.clone()) != Some(decision.wanted);
    Ok(Action::requeue(if new { SOON } else { decision.step.wake }))
}

/// What comes of a turn that did not come to its end.
async fn settle(
    context: &Context,
    canary: &Canary,
    memory: &mut Memory,
    outcome: Result<Action, Stop>,
) -> Result<Action, Stop> {
    match outcome {
        Err(Stop::Refused(problems)) => {
            refuse(context, canary, memory, &problems).await?;
            Ok(Action::await_change())
        }
        Err(Stop::Rival(problems)) => {
            refuse(context, canary, memory, &problems).await?;
            Ok(Action::requeue(RIVAL))
        }
        Err(Stop::Suspended) => {
            let line = BTreeSet::from([Stop::Suspended.to_string()]);
            tell_once(context, canary, memory, line).await;
            Ok(Action::await_change())
        }
        Err(Stop::Conflict) => Ok(Action::requeue(SOON)),
        Err(stop) => {
            tell_once(context, canary, memory, BTreeSet::from([stop.to_string()])).await;
            Err(stop)
        }
        Ok(action) => Ok(action),
    }
}

/// The status says what is wrong, and so does an event; where the rollout stands is kept.
async fn refuse(
    context: &Context,
    canary: &Canary,
    memory: &mut Memory,
    problems: &Problems,
) -> Result<(), Stop> {
    let mut status = canary.status.clone().unwrap_or_default();
    status.refuse(problems);
    commit(&context.client, canary, status).await?;
    let lines = problems.iter().map(ToString::to_string).collect();
    tell_once(context, canary, memory, lines).await;
    Ok(())
}

/// Tells what is so and was not so at the turn before.
async fn tell_once(
    context: &Context,
    canary: &Canary,
    memory: &mut Memory,
    lines: BTreeSet<String>,
) {
    for line in lines.difference(&memory.told) {
        tell(context, canary, Severity::Warn, "Held", line).await;
    }
    memory.told = lines;
}

/// Where the rollout stands.
fn committed(canary: &Canary) -> Result<Status, Stop> {
    let recorded = canary.status.as_ref().map_or(Ok(None), CanaryStatus::rollout);
    let recorded = recorded.map_err(|problem| {
        let mut problems = Problems::default();
        problems.push(problem);
        Stop::Refused(problems)
    })?;
    Ok(recorded.unwrap_or_default())
}

fn circumstances() -> Result<Circumstances, Stop> {
    let mut dice = [0; 32];
    getrandom::fill(&mut dice)?;
    Ok(Circumstances { dice, now: clock::now() })
}

fn refusal(field: &str, why: &impl ToString) -> Stop {
    let mut problems = Problems::default();
    problems.add(field, why.to_string());
    Stop::Refused(problems)
}

impl From<Problems> for Stop {
    fn from(problems: Problems) -> Self {
        Self::Refused(problems)
    }
}

impl From<ApplyError> for Stop {
    fn from(error: ApplyError) -> Self {
        if error.is_conflict() { Self::Conflict } else { Self::Apply(error) }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error {
            Error::Api(status) if status.code == 409 => Self::Conflict,
            error => Self::Cluster(Box::new(error)),
        }
    }
}
