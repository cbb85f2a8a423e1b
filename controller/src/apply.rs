//! The cluster becomes what the committed status says: every object, each time, in order; then what is left over goes.

use std::collections::BTreeSet;

use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::{DynamicObject, ObjectMeta};
use kube::{Client, Error};
use serde_json::json;
use serin_api::keys;
use thiserror::Error as ThisError;

use crate::identity::Identity;
use crate::kind::Kind;
use crate::objects::{Effect, ObjectRef, Objects, Scale};
use crate::resources;

/// An object that is not as it should be. Whatever comes before it is.
#[derive(Debug, ThisError)]
#[error("{object} is not taken: {}", resources::words(source))]
pub(crate) struct ApplyError {
    object: ObjectRef,
    source: Box<Error>,
}

impl ApplyError {
    /// It is not as it was when it was seen.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(&*self.source, Error::Api(status) if status.code == 409)
    }
}

/// Applies all of it, and deletes what was made for the Canary (`ours`) and is not wanted any more.
pub(crate) async fn apply(
    client: &Client,
    identity: &Identity,
    objects: Objects,
    ours: &[(ObjectRef, ObjectMeta)],
) -> Result<(), ApplyError> {
    let wanted: BTreeSet<_> = objects.wanted().collect();
    for effect in objects.effects() {
        match effect {
            Effect::Apply(object) => put(client, &identity.namespace, ours, *object).await?,
            Effect::Scale(it) => scale(client, &identity.namespace, it).await?,
        }
    }
    for (left, metadata) in ours.iter().filter(|(it, _)| !wanted.contains(it)) {
        delete(client, &identity.namespace, left, metadata).await?;
    }
    Ok(())
}

/// What was seen is changed, and never made anew: what follows from its being there, as its replicas, would be missing.
async fn put(
    client: &Client,
    namespace: &str,
    ours: &[(ObjectRef, ObjectMeta)],
    mut object: DynamicObject,
) -> Result<(), ApplyError> {
    let Some(reference) = ObjectRef::of(&object) else { return Ok(()) };
    let seen = ours.iter().find(|(it, _)| *it == reference);
    object.metadata.uid = seen.and_then(|(_, metadata)| metadata.uid.clone());
    let params = PatchParams::apply(keys::FIELD_MANAGER).force().validation_strict();
    let api = resources::api(client, reference.kind, namespace);
    let outcome = api.patch(&reference.name, &params, &Patch::Apply(&object)).await;
    taken(reference, outcome)
}

async fn scale(client: &Client, namespace: &str, scale: Scale) -> Result<(), ApplyError> {
    let manager = Some(keys::FIELD_MANAGER.to_owned());
    let params = PatchParams { field_manager: manager, ..PatchParams::default() };
    let replicas = json!({ "spec": { "replicas": scale.replicas } });
    let api = resources::api(client, Kind::Deployment, namespace);
    let outcome = api.patch(&scale.name, &params, &Patch::Merge(replicas)).await;
    taken(ObjectRef { kind: Kind::Deployment, name: scale.name }, outcome)
}

/// Just this one: another of its name that is made meanwhile stays.
async fn delete(
    client: &Client,
    namespace: &str,
    left: &ObjectRef,
    metadata: &ObjectMeta,
) -> Result<(), ApplyError> {
    let this = Preconditions { uid: metadata.uid.clone(), ..Preconditions::default() };
    let params = DeleteParams::background().preconditions(this);
    let outcome = resources::api(client, left.kind, namespace).delete(&left.name, &params).await;
    match outcome {
        Err(Error::Api(status)) if status.code == 404 => Ok(()),
        outcome => taken(left.clone(), outcome),
    }
}

fn taken<T>(object: ObjectRef, outcome: Result<T, Error>) -> Result<(), ApplyError> {
    outcome.map(drop).map_err(|source| ApplyError { object, source: Box::new(source) })
}
