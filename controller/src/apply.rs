//! The cluster becomes what the committed status says: every object, in order; then what is left over goes. An object
//! that is still as our last write of the same left it is not written again.

use std::collections::{BTreeMap, BTreeSet};

use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::{DynamicObject, ObjectMeta};
use kube::{Client, Error};
use serde::Serialize;
use serde_json::json;
use serin_api::keys;
use siphasher::sip::SipHasher13;
use thiserror::Error as ThisError;

use crate::identity::Identity;
use crate::kind::Kind;
use crate::objects::{Effect, ObjectRef, Objects, Scale};
use crate::observe::Observation;
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

/// What was written of each object, and how the API server then showed it; both as hashes.
pub(crate) type Written = BTreeMap<ObjectRef, (u64, u64)>;

/// Writes for one Canary.
pub(crate) struct Writer<'a> {
    pub(crate) client: &'a Client,
    pub(crate) identity: &'a Identity,
    pub(crate) seen: &'a Observation,
    pub(crate) written: &'a mut Written,
}

impl Writer<'_> {
    /// Applies all of it, and deletes what was made for the Canary and is not wanted any more. How many writes it took:
    /// after none, what was seen still holds.
    pub(crate) async fn apply(&mut self, objects: Objects) -> Result<usize, ApplyError> {
        let wanted: BTreeSet<_> = objects.wanted().collect();
        let mut writes = 0;
        for effect in objects.effects() {
            match effect {
                Effect::Apply(object) => writes += self.put(*object).await?,
                Effect::Scale(it) => writes += self.scale(it).await?,
            }
        }
        for (left, _) in self.seen.ours.iter().filter(|(it, _)| !wanted.contains(it)) {
            writes += self.delete(left).await?;
        }
        Ok(writes)
    }

    /// What was seen is changed, and never made anew: what follows from its being there, as its replicas, would be
    /// missing.
    pub(crate) async fn put(&mut self, mut object: DynamicObject) -> Result<usize, ApplyError> {
        let Some(reference) = ObjectRef::of(&object) else { return Ok(0) };
        let seen = self.seen.metadata(&reference);
        object.metadata.uid = seen.and_then(|metadata| metadata.uid.clone());
        let wanted = hash(&object);
        let shown = seen.map(|metadata| (wanted, look(reference.kind, metadata)));
        if shown.is_some() && self.written.get(&reference).copied() == shown {
            return Ok(0);
        }
        self.written.remove(&reference);
        let params = PatchParams::apply(keys::FIELD_MANAGER).force().validation_strict();
        let api = resources::api(self.client, reference.kind, &self.identity.namespace);
        let outcome = api.patch(&reference.name, &params, &Patch::Apply(&object)).await;
        let now = taken(&reference, outcome)?;
        // As it is written the next time: with the uid that it has by now.
        object.metadata.uid.clone_from(&now.metadata.uid);
        let shown = (hash(&object), look(reference.kind, &now.metadata));
        self.written.insert(reference, shown);
        Ok(1)
    }

    pub(crate) async fn scale(&mut self, scale: Scale) -> Result<usize, ApplyError> {
        let manager = Some(keys::FIELD_MANAGER.to_owned());
        let params = PatchParams { field_manager: manager, ..PatchParams::default() };
        let replicas = json!({ "spec": { "replicas": scale.replicas } });
        let api = resources::api(self.client, Kind::Deployment, &self.identity.namespace);
        let outcome = api.patch(&scale.name, &params, &Patch::Merge(replicas)).await;
        taken(&ObjectRef { kind: Kind::Deployment, name: scale.name }, outcome)?;
        Ok(1)
    }

    /// Just the one that was seen: another of its name that is made meanwhile stays.
    pub(crate) async fn delete(&mut self, left: &ObjectRef) -> Result<usize, ApplyError> {
        let Some(metadata) = self.seen.of_ours(left) else { return Ok(0) };
        let this = Preconditions { uid: metadata.uid.clone(), ..Preconditions::default() };
        let params = DeleteParams::background().preconditions(this);
        let api = resources::api(self.client, left.kind, &self.identity.namespace);
        match api.delete(&left.name, &params).await {
            Err(Error::Api(status)) if status.code == 404 => Ok(0),
            outcome => taken(left, outcome).map(|_| 1),
        }
    }
}

/// All that is to be so, in short.
pub(crate) fn digest(objects: &Objects) -> u64 {
    let kept = objects.wanted().map(|it| it.to_string());
    let applied = objects.applied();
    let scaled = objects.scales.iter().map(|it| (it.name.as_str(), it.replicas));
    let parts = (kept.collect::<Vec<_>>(), applied.collect::<Vec<_>>(), scaled.collect::<Vec<_>>());
    hash(&parts)
}

/// How an object looks, without its status where that changes by itself: such kinds count the versions of their specs.
pub(crate) fn look(kind: Kind, metadata: &ObjectMeta) -> u64 {
    let counted = [Kind::Deployment, Kind::DestinationRule, Kind::VirtualService, Kind::WasmPlugin];
    let counted = counted.contains(&kind);
    let version = metadata.resource_version.as_ref().filter(|_| !counted);
    let ObjectMeta { uid, generation, labels, annotations, owner_references, .. } = metadata;
    let deleted = metadata.deletion_timestamp.is_some();
    hash(&(version, uid, generation, labels, annotations, owner_references, deleted))
}

/// What is written, in short.
pub(crate) fn hash(of: &impl Serialize) -> u64 {
    // Plain data: there is nothing in it that JSON cannot say.
    SipHasher13::new().hash(&serde_json::to_vec(of).unwrap_or_default())
}

fn taken<T>(object: &ObjectRef, outcome: Result<T, Error>) -> Result<T, ApplyError> {
    outcome.map_err(|source| ApplyError { object: object.clone(), source: Box::new(source) })
}
