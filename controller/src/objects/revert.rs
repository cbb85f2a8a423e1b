//! What a deleted Canary leaves behind if it was asked to revert: the target as it served before, and what was
//! there before us as it was. The rest of what we made goes with the Canary.

use kube::core::{DynamicObject, ObjectMeta};
use serde_json::{Value, json};
use serin_rollout::Desired;
use serin_route::Track;

use super::facts::{Facts, Observed};
use super::scale::{Scale, wanted_of_primary};
use super::services::track_service;
use super::target::{Target, available, replicas};
use super::{ObjectRef, ProjectionError, adopt};
use crate::kind::Kind;

/// The next thing to do for a Canary that is being deleted. Each is done, and known to the proxies, before this is
/// asked again.
#[derive(Clone, Debug, PartialEq)]
pub enum Revert {
    /// The target gets its pods back; traffic stays where it is.
    Pods(Scale),
    /// Its pods are not ready yet.
    Wait,
    /// Traffic leaves primary: the projection of this is applied once more.
    Traffic(Box<Desired>),
    /// What was there before us becomes what it was, and the `VirtualService` goes before the services that it
    /// leads to.
    Restore {
        /// By server-side apply.
        apply: Vec<DynamicObject>,
        /// Ours.
        delete: Vec<ObjectRef>,
    },
    /// The finalizer may go.
    Done,
}

/// The projection of a Canary that is being deleted, until its traffic may move: nothing is steered any more.
pub fn while_deleted(desired: &Desired) -> Desired {
    Desired { rollout: None, canary_route: false, canary_runs: true, ..desired.clone() }
}

/// The next thing to do.
pub fn revert(
    facts: &Facts,
    desired: &Desired,
    seen: &Observed,
) -> Result<Revert, ProjectionError> {
    let target = Target::read(&seen.target)?;
    let serving = seen.primary.as_ref().map(replicas).filter(|replicas| *replicas > 0);
    let wanted = serving.unwrap_or_else(|| wanted_of_primary(facts, seen, &target));
    if target.replicas() == 0 {
        return Ok(Revert::Pods(Scale { name: facts.target.clone(), replicas: wanted }));
    }
    // They are about to get all traffic: as many as serve it now, or all that there will be.
    if available(&seen.target) < i64::from(target.replicas().min(wanted)) {
        return Ok(Revert::Wait);
    }
    if desired.initialized && leads_to_primary(facts, seen, &target) {
        let there = Desired { default: Track::Canary, ..while_deleted(desired) };
        return Ok(Revert::Traffic(Box::new(there)));
    }
    let apply: Vec<_> = [
        restored(Kind::Service, seen.apex.as_ref()),
        restored(Kind::VirtualService, seen.virtual_service.as_ref()),
    ]
    .into_iter()
    .flatten()
    .collect();
    let owned = |object: &&DynamicObject| facts.identity.owns(object);
    let delete: Vec<_> =
        seen.virtual_service.iter().filter(owned).filter_map(ObjectRef::of).collect();
    if apply.is_empty() && delete.is_empty() {
        return Ok(Revert::Done);
    }
    Ok(Revert::Restore { apply, delete })
}

/// Whether something of ours still leads to primary.
fn leads_to_primary(facts: &Facts, seen: &Observed, target: &Target<'_>) -> bool {
    let ours =
        |object: &&DynamicObject| facts.identity.owns(object) || adopt::original(object).is_some();
    let service = seen.apex.as_ref().filter(ours);
    let primary = json!(target.primary_selector());
    if service.is_some_and(|service| service.data["spec"]["selector"] == primary) {
        return true;
    }
    let host = track_service(facts, Track::Primary);
    let routes = seen.virtual_service.as_ref().filter(ours);
    let routes = routes.and_then(|it| it.data["spec"]["http"].as_array()).into_iter().flatten();
    let mut hosts = routes.flat_map(|route| route["route"].as_array().into_iter().flatten());
    hosts.any(|route| route["destination"]["host"] == host.as_str())
}

/// An adopted object with what it was. Without the note in it, so that once written it is done with; labels and
/// annotations that were ours go, because they are applied no more.
fn restored(kind: Kind, found: Option<&DynamicObject>) -> Option<DynamicObject> {
    let found = found?;
    let spec: Value = adopt::original(found)?;
    let mut object = DynamicObject::new("", &kind.resource()).data(json!({ "spec": spec }));
    object.metadata = ObjectMeta {
        name: found.metadata.name.clone(),
        namespace: found.metadata.namespace.clone(),
        ..ObjectMeta::default()
    };
    Some(object)
}

#[cfg(test)]
mod tests;
