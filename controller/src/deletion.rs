//! A Canary that is deleted. What was made for it goes with it, by its owner references; one that was asked to revert
//! is held by a finalizer until its target serves again.
//!
//! Each look does the next thing only, as [`crate::objects::revert`] reads it from the cluster; so it does not matter
//! how often a look breaks off, or who takes the next one.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use kube::runtime::controller::Action;
use kube::{Api, Client, Error};
use serde_json::json;
use serin_api::release::Target;
use serin_api::{Canary, Release, keys};
use serin_rollout::{Desired, Severity, Status, desired};

use crate::announce::tell;
use crate::apply::Writer;
use crate::clock;
use crate::commit::commit;
use crate::context::{Context, Memory};
use crate::objects::{Facts, ObjectRef, Observed, Revert, Scale, objects, revert, while_deleted};
use crate::observe::{Observation, look, neighbours};
use crate::plan::{plan, rival};
use crate::reconcile::{SOON, Stop, committed, refusal, tell_once};

/// After traffic was moved, the pods that served it stay for as long: proxies learn it one after the other.
const PROPAGATION: Duration = Duration::from_secs(5);
/// Who waits for pods is woken by their Deployment; this is for whoever was not.
const PODS: Duration = Duration::from_secs(30);

/// Holds a Canary that is to revert when it is deleted, and one that is not no longer. Whether it has changed thereby.
/// Flagger's hold is as good as ours.
pub(crate) async fn hold(client: &Client, canary: &Canary) -> Result<bool, Error> {
    match (canary.spec.revert_on_deletion, is_held(canary)) {
        (true, false) => {
            let others = canary.metadata.finalizers.iter().flatten().map(String::as_str);
            set_finalizers(client, canary, others.chain([keys::FINALIZER]).collect()).await?;
            Ok(true)
        }
        (false, true) => let_go(client, canary).await.map(|()| true),
        _ => Ok(false),
    }
}

/// Does the next thing for a Canary that is being deleted.
pub(crate) async fn retire(
    context: &Context,
    canary: &Canary,
    memory: &mut Memory,
) -> Result<Action, Stop> {
    if !is_held(canary) {
        return Ok(Action::await_change());
    }
    if !canary.spec.revert_on_deletion
        || rival(canary, &neighbours(context, canary).await?).is_err()
    {
        let_go(&context.client, canary).await?;
        return Ok(Action::await_change());
    }
    let release = plan(canary, &context.templates.of(canary).await?)?;
    let status = committed(canary)?;
    let Some(seen) = look(context, canary, &release, &status, memory).await? else {
        let gone = format!("There is no Deployment {} to give back", release.target.name);
        tell(context, canary, Severity::Warn, "Terminated", &gone).await;
        let_go(&context.client, canary).await?;
        return Ok(Action::await_change());
    };
    terminating(context, canary).await?;
    let retired = Retired::of(canary, &release, &status, &seen);
    let next = revert(&retired.facts, &retired.desired, &retired.view);
    let next = next.map_err(|error| refusal("spec.targetRef", &error))?;
    carry_out(context, canary, memory, &retired, next).await
}

/// A Canary on its way out.
struct Retired<'a> {
    facts: Facts,
    /// How it was projected last.
    desired: Desired,
    view: Observed,
    seen: &'a Observation,
}

impl<'a> Retired<'a> {
    fn of(canary: &Canary, release: &Release, status: &Status, seen: &'a Observation) -> Self {
        let mut desired = desired(&release.plan, status);
        let view = seen.at(desired.primary_revision.as_deref());
        // Never served by us: another controller's primary serves all the same.
        let recorded = canary.status.as_ref().and_then(|it| it.serin.as_ref()?.rollout.as_ref());
        desired.initialized |= recorded.is_none() && view.primary.is_some();
        let facts = Facts::of(canary, release, seen.callers.clone());
        Self { facts, desired, view, seen }
    }
}

async fn carry_out(
    context: &Context,
    canary: &Canary,
    memory: &mut Memory,
    retired: &Retired<'_>,
    next: Revert,
) -> Result<Action, Stop> {
    let steady = while_deleted(&retired.desired);
    match next {
        Revert::Pods(scale) => {
            project(context, memory, retired, &steady, Some(scale)).await?;
            Ok(Action::requeue(SOON))
        }
        Revert::Wait => {
            project(context, memory, retired, &steady, None).await?;
            let line = format!("Deployment {} gets its pods back first", retired.facts.target);
            tell_once(context, canary, memory, BTreeSet::from([line])).await;
            Ok(Action::requeue(PODS))
        }
        Revert::Traffic(there) => {
            project(context, memory, retired, &there, None).await?;
            memory.moved = Some(clock::now());
            Ok(Action::requeue(PROPAGATION))
        }
        Revert::Restore { .. } | Revert::Done if !still(memory).is_zero() => {
            Ok(Action::requeue(still(memory)))
        }
        Revert::Restore { apply, delete } => {
            restore(context, memory, retired, apply, delete).await?;
            memory.moved = Some(clock::now());
            Ok(Action::requeue(PROPAGATION))
        }
        Revert::Done => {
            let_go(&context.client, canary).await?;
            let told = format!("Terminated canary {}.{}", canary.name(), canary.namespace());
            tell(context, canary, Severity::Info, "Terminated", &told).await;
            Ok(Action::await_change())
        }
    }
}

/// How long traffic needs yet. Whoever does not know when it was moved waits for all of it: a crash may have come
/// between.
fn still(memory: &mut Memory) -> Duration {
    let now = clock::now();
    let moved = *memory.moved.get_or_insert(now);
    let since = now.duration_since(moved).max(SignedDuration::ZERO);
    PROPAGATION.saturating_sub(since.unsigned_abs())
}

/// Applies a projection, but for the target's replicas: those are `scale`'s to say.
async fn project(
    context: &Context,
    memory: &mut Memory,
    retired: &Retired<'_>,
    wanted: &Desired,
    scale: Option<Scale>,
) -> Result<(), Stop> {
    let made = objects(&retired.facts, wanted, &retired.view);
    let mut made = made.map_err(|error| refusal("spec.targetRef", &error))?;
    made.scales.retain(|it| it.name != retired.facts.target);
    made.scales.extend(scale);
    writer(context, memory, retired).apply(made).await?;
    Ok(())
}

async fn restore(
    context: &Context,
    memory: &mut Memory,
    retired: &Retired<'_>,
    apply: Vec<DynamicObject>,
    delete: Vec<ObjectRef>,
) -> Result<(), Stop> {
    let mut writer = writer(context, memory, retired);
    for object in apply {
        writer.put(object).await?;
    }
    for object in delete {
        writer.delete(&object).await?;
    }
    Ok(())
}

fn writer<'a>(
    context: &'a Context,
    memory: &'a mut Memory,
    retired: &'a Retired<'_>,
) -> Writer<'a> {
    Writer {
        client: &context.client,
        identity: &retired.facts.identity,
        seen: retired.seen,
        written: &mut memory.written,
    }
}

/// The status says that it is being deleted; so does an event, once.
async fn terminating(context: &Context, canary: &Canary) -> Result<(), Stop> {
    let mut status = canary.status.clone().unwrap_or_default();
    status.terminate(Target::KIND, clock::now());
    if commit(&context.client, canary, status).await?.is_some() {
        let told = format!("Terminating canary {}.{}", canary.name(), canary.namespace());
        tell(context, canary, Severity::Info, "Terminating", &told).await;
    }
    Ok(())
}

fn is_held(canary: &Canary) -> bool {
    canary.metadata.finalizers.iter().flatten().any(|it| is_hold(it))
}

fn is_hold(finalizer: &str) -> bool {
    [keys::FINALIZER, keys::FLAGGER_FINALIZER].contains(&finalizer)
}

async fn let_go(client: &Client, canary: &Canary) -> Result<(), Error> {
    let all = canary.metadata.finalizers.iter().flatten().map(String::as_str);
    set_finalizers(client, canary, all.filter(|it| !is_hold(it)).collect()).await
}

/// Provided that nobody has written meanwhile: another's finalizer would be lost.
async fn set_finalizers(
    client: &Client,
    canary: &Canary,
    finalizers: Vec<&str>,
) -> Result<(), Error> {
    let version = &canary.metadata.resource_version;
    let patch = json!({ "metadata": { "finalizers": finalizers, "resourceVersion": version } });
    let manager = Some(keys::FIELD_MANAGER.to_owned());
    let params = PatchParams { field_manager: manager, ..PatchParams::default() };
    let api: Api<Canary> = Api::namespaced_with(client.clone(), canary.namespace(), &canary.group);
    match api.patch(canary.name(), &params, &Patch::Merge(patch)).await {
        Err(Error::Api(status)) if status.code == 404 => Ok(()),
        outcome => outcome.map(drop),
    }
}
