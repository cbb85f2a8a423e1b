//! What the unit tests of this crate begin with. Names differ from the product's and from each other, so that a
//! swapped one is seen.

use kube::core::DynamicObject;
use serde_json::{Value, json};
use serin_api::Group;
use serin_api::canary::{Service, Unscoped};
use serin_rollout::Desired;
use serin_route::{Rollout, Track, Weight};

use crate::identity::Identity;
use crate::kind::Kind;
use crate::objects::Facts;
use crate::scope::Callers;

/// A Canary `release` in `prod` for a Deployment `shop`, called by the name `store`.
pub(crate) fn facts() -> Facts {
    Facts {
        identity: Identity {
            group: Group::Serin,
            name: "release".into(),
            namespace: "prod".into(),
            uid: "7f1e".into(),
        },
        apex: "store".into(),
        target: "shop".into(),
        service: Service { port: 80, ..Service::default() },
        autoscaler: None,
        callers: Callers {
            root_namespace: "istio-system".into(),
            mesh: true,
            ..Callers::default()
        },
        unscoped: Unscoped::Primary,
    }
}

/// At rest, with primary at a revision.
pub(crate) fn at_rest(revision: &str) -> Desired {
    Desired {
        initialized: true,
        rollout: None,
        canary_route: false,
        default: Track::Primary,
        canary_runs: false,
        primary_revision: Some(revision.to_owned()),
    }
}

/// In a rollout at so many percent, with primary at a revision.
pub(crate) fn in_rollout(revision: &str, percent: u8) -> Desired {
    let rollout = rollout("store", percent);
    Desired { rollout: Some(rollout), canary_route: true, canary_runs: true, ..at_rest(revision) }
}

/// The filter's entry of a rollout.
pub(crate) fn rollout(name: &str, percent: u8) -> Rollout {
    Rollout {
        name: name.into(),
        namespace: "prod".into(),
        run: "r1".into(),
        generation: 1,
        salt: "0".repeat(32),
        nonce: "5ec2e7".into(),
        weight: Weight::from_percent(percent),
        rules: Vec::new(),
        otherwise: serin_route::Otherwise::Weighted,
        keys: Vec::new(),
        affinity: None,
        edges_ms: Vec::new(),
        routes: Vec::new(),
        direct: None,
        grpc: false,
        retries: false,
    }
}

/// A Deployment whose pods carry `app: web`, as an API server returns it.
pub(crate) fn deployment(name: &str, image: &str) -> DynamicObject {
    let data = json!({
        "spec": {
            "replicas": 3,
            "selector": { "matchLabels": { "app": "web", "tier": "front" } },
            "template": {
                "metadata": { "labels": { "app": "web", "tier": "front" } },
                "spec": { "containers": [{ "name": "web", "image": image }] },
            },
        },
        "status": { "availableReplicas": 3 },
    });
    object(Kind::Deployment, name, data)
}

/// A `ConfigMap` with one value.
pub(crate) fn config_map(name: &str, value: &str) -> DynamicObject {
    object(Kind::ConfigMap, name, json!({ "data": { "key": value } }))
}

/// Any object of `prod`.
pub(crate) fn object(kind: Kind, name: &str, data: Value) -> DynamicObject {
    DynamicObject::new(name, &kind.resource()).data(data).within("prod")
}
