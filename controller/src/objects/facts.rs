//! What is projected from, beside the rollout's own [`serin_rollout::Desired`].

use kube::core::DynamicObject;
use serde_json::Value;
use serin_api::canary::{AutoscalerRef, Service, Unscoped};
use serin_api::{Canary, Release};

use crate::identity::Identity;
use crate::scope::Callers;

/// What a Canary's author wrote, as far as objects follow from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Whose the objects are.
    pub identity: Identity,
    /// The name that clients call; the Services' begin with it.
    pub apex: String,
    /// The target's name; the primary workload's begins with it.
    pub target: String,
    /// How the workload is reached.
    pub service: Service,
    /// Its autoscaler.
    pub autoscaler: Option<AutoscalerRef>,
    /// Who calls it from within a scope.
    pub callers: Callers,
    /// What callers outside of every scope get while a rollout runs.
    pub unscoped: Unscoped,
}

impl Facts {
    /// Of a Canary and what it means. Namespaces of further callers are the Canary's to name; whatever `callers` says
    /// of them is replaced.
    pub fn of(canary: &Canary, release: &Release, callers: Callers) -> Self {
        Self {
            identity: Identity::of(canary),
            apex: canary.apex().to_owned(),
            target: release.target.name.clone(),
            service: release.service.clone(),
            autoscaler: release.autoscaler.clone(),
            callers: Callers { further: release.caller_namespaces.clone(), ..callers },
            unscoped: release.unscoped,
        }
    }
}

/// What was seen in the cluster. Objects are as the API server returned them: a copy must lose nothing, not even a
/// field that is newer than this code.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The target.
    pub target: DynamicObject,
    /// The target's revision; see [`crate::objects::target_revision`], asked when the rest is filled in.
    pub revision: String,
    /// The `ConfigMap`s and Secrets that the target's template and the promoted one refer to, as far as they exist.
    pub configs: Vec<DynamicObject>,
    /// The copies of them that exist.
    pub copies: Vec<DynamicObject>,
    /// The primary workload.
    pub primary: Option<DynamicObject>,
    /// The pod template of the revision that primary should run, where it is not the target's any more: one of the
    /// target's `ReplicaSet`s has it.
    pub promoted_template: Option<Value>,
    /// The replicas that primary had when it was last seen.
    pub primary_replicas: Option<i32>,
    /// The target's autoscaler.
    pub autoscaler: Option<DynamicObject>,
    /// The Service of the apex name.
    pub apex: Option<DynamicObject>,
    /// The `VirtualService` of the apex name.
    pub virtual_service: Option<DynamicObject>,
}

impl Observed {
    /// A cluster in which there is only the target.
    pub fn new(target: DynamicObject, configs: Vec<DynamicObject>) -> Self {
        Self {
            revision: super::revision(&target, &configs),
            target,
            configs,
            copies: Vec::new(),
            primary: None,
            promoted_template: None,
            primary_replicas: None,
            autoscaler: None,
            apex: None,
            virtual_service: None,
        }
    }
}
