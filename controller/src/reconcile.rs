//! One look at one Canary: `observe → plan → step → commit → apply → announce`.
//!
//! Status is the truth and the cluster its projection: nothing is applied that is not committed, and what is committed
//! is applied until it holds. Whatever stops a turn, the next one begins anew from what is there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kube::Error;
use kube::Resource as _;
use kube::runtime::controller::Action;
use serin_api::{Canary, CanaryStatus, Group, Problems, Release, keys};
use serin_rollout::{Severity, Status};
use thiserror::Error as ThisError;
use tokio::time::Instant;

use crate::announce::{announce, tell};
use crate::apply::{ApplyError, Writer, digest};
use crate::commit::{commit, heed};
use crate::context::{Context, Memory};
use crate::decide::{Circumstances, Decision, decide};
use crate::deletion::{hold, retire};
use crate::flagger::yielded;
use crate::guarded::{self, Guarded};
use crate::identity::Identity;
use crate::interests::Key;
use crate::observe::{Observation, kept, look, neighbours, strangers};
use crate::plan::{no_target, plan, rival};
use crate::probes::About;
use crate::resources::words;
use crate::templates::Unread;
use crate::{clock, observe as read};

/// Somebody was faster, or something was applied that was not before: look again.
pub(crate) const SOON: Duration = Duration::from_millis(20);
/// After the first failure; then twice as long each time.
const RETRY: Duration = Duration::from_secs(1);
/// What is committed and not applied yet should not wait for long.
const RETRY_MAX: Duration = Duration::from_secs(20);
/// An older Canary has the target, and its end wakes nobody.
const RIVAL: Duration = Duration::from_secs(30);
/// What was seen is kept if it is asked for again by then; what wakes later is an event, and it does not hold.
const KEPT: Duration = Duration::from_mins(1);

/// Why a turn did not come to its end.
#[derive(Debug, ThisError)]
pub(crate) enum Stop {
    /// Something is wrong with the Canary; nothing is done for it.
    #[error("{0}")]
    Refused(Problems),
    /// An older Canary has the target; nothing is done for this one.
    #[error("{0}")]
    Rival(Problems),
    /// Another controller serves it; nothing is done for it.
    #[error("{0}")]
    Yielded(String),
    /// Nobody knows yet whether another controller serves it.
    #[error("it is not known yet whether a Flagger runs")]
    Unknown,
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
pub(crate) async fn reconcile(
    group: Group,
    woken: Arc<Guarded>,
    context: Arc<Context>,
) -> Result<Action, Stop> {
    let key = guarded::key(group, &woken);
    context.scopes.seen(&key, woken.meta().resource_version.as_deref());
    let Some(read) = read::canary(&context.client, &key).await? else {
        context.forget(&key);
        return Ok(Action::await_change());
    };
    let canary = match &read.0 {
        Ok(canary) => canary,
        Err(invalid) => {
            guarded::refuse(&context, group, &read, &invalid.error).await;
            return Ok(Action::await_change());
        }
    };
    context.reads(&key);
    let began = Instant::now();
    let memory = context.memory(canary);
    let mut memory = memory.lock().await;
    let outcome = match yielded(&context, canary.group) {
        Some(stop) => Err(stop),
        None if canary.metadata.deletion_timestamp.is_some() => {
            retire(&context, canary, &mut memory).await
        }
        None => turn(&context, canary, &mut memory).await,
    };
    let ended = outcome.as_ref().map_or_else(Stop::name, |_| "done");
    context.metrics.looked(&key, ended, began.elapsed());
    let action = settle(&context, canary, &mut memory, outcome).await;
    memory.failures = if action.is_ok() { 0 } else { memory.failures.saturating_add(1) };
    action
}

/// When to try again.
pub(crate) fn failed(group: Group, canary: &Guarded, stop: &Stop, context: &Context) -> Action {
    let memory = canary.0.as_ref().ok().map(|canary| context.memory(canary));
    let failures = memory.and_then(|memory| Some(memory.try_lock().ok()?.failures));
    let failures = failures.unwrap_or(1).clamp(1, 16);
    let wait = RETRY.saturating_mul(1 << (failures - 1)).min(RETRY_MAX);
    tracing::debug!(canary = guarded::key(group, canary).name, %stop, ?wait, "a turn failed");
    Action::requeue(wait)
}

async fn turn(context: &Context, canary: &Canary, memory: &mut Memory) -> Result<Action, Stop> {
    let release = plan(canary, &context.templates.of(canary).await?)?;
    if release.suspended {
        return Err(Stop::Suspended);
    }
    rival(canary, &neighbours(context, canary).await?).map_err(Stop::Rival)?;
    let status = committed(canary)?;
    let seen = seen(context, canary, &release, &status, memory).await?;
    memory.asked.collect(&release, seen.revision());
    let decision =
        decide(canary, &release, &status, memory, &seen, circumstances(context, canary, &status)?)
            .map_err(|error| refusal("spec.targetRef", &error))?;
    if !is_settled(memory, &decision) {
        strangers(context, canary, &seen, &decision.objects).await?;
    }
    if hold(&context.client, canary).await? {
        return Ok(Action::requeue(SOON));
    }

    let version = commit(&context.client, canary, decision.status.clone()).await?;
    memory.asked.had();
    context.metrics.committed(canary, &release, &decision);
    memory.ledger = decision.step.ledger.clone();
    let applied = applied(context, canary, memory, &seen, &decision).await;
    let (status, revision) = (&decision.step.status, seen.revision());
    let about = About { canary, release: &release, status, revision };
    context.probes.ask(&mut memory.asked, about, &decision.step.wants);
    context.probes.tell(&mut memory.asked, about, &decision.step.notices);
    announce(context, canary, &decision.step.notices).await;
    if canary.metadata.annotations.iter().flatten().any(|(key, _)| key == keys::INTENT) {
        heed(&context.client, canary, version).await?;
    }
    applied?;
    tell_once(context, canary, memory, decision.lines).await;
    memory.seen.take_if(|_| decision.step.wake > KEPT);
    let new = memory.applied.replace(decision.wanted.clone()) != Some(decision.wanted);
    Ok(Action::requeue(if new { SOON } else { decision.step.wake }))
}

/// What is in the cluster; as it was seen last, if nothing has changed.
async fn seen(
    context: &Context,
    canary: &Canary,
    release: &Release,
    status: &Status,
    memory: &mut Memory,
) -> Result<Arc<Observation>, Stop> {
    if let Some(seen) = kept(context, canary, status, memory) {
        return Ok(seen);
    }
    memory.settled = None;
    let seen = look(context, canary, release, status, memory).await?;
    seen.ok_or_else(|| no_target(canary).into())
}

/// Whether all is as it should be: nothing has changed since just this was applied.
fn is_settled(memory: &Memory, decision: &Decision) -> bool {
    memory.settled == Some(digest(&decision.objects))
}

/// The cluster becomes what is committed. After a write, what was seen holds no longer.
async fn applied(
    context: &Context,
    canary: &Canary,
    memory: &mut Memory,
    seen: &Observation,
    decision: &Decision,
) -> Result<(), ApplyError> {
    if is_settled(memory, decision) {
        return Ok(());
    }
    let (client, identity) = (&context.client, &Identity::of(canary));
    let mut writer = Writer { client, identity, seen, written: &mut memory.written };
    let outcome = writer.apply(decision.objects.clone()).await;
    match outcome {
        Ok(0) => memory.settled = Some(digest(&decision.objects)),
        Ok(_) => memory.seen = None,
        Err(error) => {
            (memory.seen, memory.applied) = (None, None);
            return Err(error);
        }
    }
    Ok(())
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
        Err(Stop::Unknown) => Ok(Action::await_change()),
        Err(stop @ (Stop::Suspended | Stop::Yielded(_))) => {
            let line = BTreeSet::from([stop.to_string()]);
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
pub(crate) async fn tell_once(
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
pub(crate) fn committed(canary: &Canary) -> Result<Status, Stop> {
    let recorded = canary.status.as_ref().map_or(Ok(None), CanaryStatus::rollout);
    let recorded = recorded.map_err(|problem| {
        let mut problems = Problems::default();
        problems.push(problem);
        Stop::Refused(problems)
    })?;
    Ok(recorded.unwrap_or_default())
}

fn circumstances(
    context: &Context,
    canary: &Canary,
    status: &Status,
) -> Result<Circumstances, Stop> {
    let mut dice = [0; 32];
    getrandom::fill(&mut dice)?;
    let now = clock::now();
    let heard = context.feed.heard(&Key::of(canary), status, now);
    Ok(Circumstances { dice, now, heard })
}

pub(crate) fn refusal(field: &str, why: &impl ToString) -> Stop {
    let mut problems = Problems::default();
    problems.add(field, why.to_string());
    Stop::Refused(problems)
}

impl Stop {
    /// One word, for metrics.
    fn name(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Rival(_) => "rival",
            Self::Yielded(_) | Self::Unknown => "yielded",
            Self::Suspended => "suspended",
            Self::Conflict => "conflict",
            Self::Cluster(_) | Self::Apply(_) | Self::Templates(_) | Self::Dice(_) => "failed",
        }
    }
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
