//! A cluster in memory, as far as the projection sees it: what is applied is seen the next time.

#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "each test file uses its part, and a test may panic"
)]

use std::collections::BTreeSet;

use kube::core::DynamicObject;
use serde_json::{Value, json};
use serin_api::{Given, Objects as Read, Release, release};
use serin_controller::kind::Kind;
use serin_controller::objects::{Effect, Facts, Objects, Observed, objects, references, revision};
use serin_controller::scope::{
    Callers, Entrances, Gateway, Installation, Member, Order, Receiver, plugin, tables,
};
use serin_rollout::{Desired, Phase, Run, Stage, Status, desired};
use serin_route::Weight;

/// Istio's root namespace.
pub(crate) const ROOT: &str = "istio-system";

/// What is in the cluster beside the Canary.
pub(crate) struct World {
    pub(crate) facts: Facts,
    pub(crate) release: Release,
    pub(crate) seen: Observed,
}

impl World {
    /// A Canary, and the objects that its author has made.
    pub(crate) fn new(read: &Read, given: &[DynamicObject]) -> Self {
        let canary = &read.canary;
        let release = meaning(read);
        let service = &release.service;
        let of_kind = |kind: &str| {
            let is = |it: &&DynamicObject| it.types.as_ref().unwrap().kind == kind;
            given.iter().filter(is).cloned().collect::<Vec<_>>()
        };
        let roots = of_kind("VirtualService");
        let entrances = Entrances::of(service, canary.apex(), canary.namespace(), &roots);
        let (names, mesh) = (entrances.gateways, entrances.mesh);
        let gateways: Vec<_> = of_kind("Gateway")
            .iter()
            .filter_map(Gateway::of)
            .filter(|it| names.contains(&it.name))
            .collect();
        assert_eq!(gateways.len(), names.len(), "gateways that the case does not give: {names:?}");
        let root_namespace = ROOT.to_owned();
        let callers = Callers { root_namespace, gateways, mesh, ..Callers::default() };
        let target = of_kind("Deployment").pop().unwrap();
        let configs: Vec<_> = of_kind("ConfigMap").into_iter().chain(of_kind("Secret")).collect();
        let mut seen = Observed::new(target, configs);
        seen.autoscaler = of_kind("HorizontalPodAutoscaler").pop();
        seen.apex = of_kind("Service").pop();
        Self { facts: Facts::of(canary, &release, callers), release, seen }
    }

    /// The target's image changes.
    pub(crate) fn set_image(&mut self, image: &str) {
        let template = &mut self.seen.target.data["spec"]["template"];
        let before = template.clone();
        template["spec"]["containers"][0]["image"] = json!(image);
        // The target's ReplicaSets remember it.
        self.seen.promoted_template.get_or_insert(before);
        self.seen.revision = revision(&self.seen.target, &self.seen.configs);
    }

    pub(crate) fn desired(&self, status: &Status) -> Desired {
        desired(&self.release.plan, status)
    }

    pub(crate) fn objects(&self, status: &Status) -> Objects {
        objects(&self.facts, &self.desired(status), &self.seen).unwrap()
    }

    /// Applies all of it, and lets pods become ready.
    pub(crate) fn apply(&mut self, made: &Objects) {
        let wanted: BTreeSet<_> = made.wanted().collect();
        self.seen.copies.retain(|it| {
            wanted.iter().any(|wanted| wanted.name == *it.metadata.name.as_ref().unwrap())
        });
        for effect in made.clone().effects() {
            match effect {
                Effect::Apply(object) => self.see(*object),
                Effect::Scale(scale) => {
                    let primary = self.seen.primary.iter_mut();
                    let all = primary.chain([&mut self.seen.target]);
                    for workload in all.filter(|it| it.metadata.name.as_ref() == Some(&scale.name))
                    {
                        workload.data["spec"]["replicas"] = scale.replicas.into();
                        workload.data["status"] = json!({ "availableReplicas": scale.replicas });
                    }
                }
            }
        }
        self.seen.primary_replicas = self
            .seen
            .primary
            .as_ref()
            .and_then(|it| it.data["spec"]["replicas"].as_i64())
            .map(|replicas| i32::try_from(replicas).unwrap());
    }

    fn see(&mut self, mut object: DynamicObject) {
        match Kind::of(&object).unwrap() {
            Kind::Deployment => {
                let before = self.seen.primary.as_ref();
                let replicas = before.map_or(json!(1), |it| it.data["spec"]["replicas"].clone());
                object.data["status"] = json!({ "availableReplicas": replicas });
                object.data["spec"]["replicas"] = replicas;
                self.seen.primary = Some(object);
            }
            Kind::Service if object.metadata.name.as_ref() == Some(&self.facts.apex) => {
                self.seen.apex = Some(object);
            }
            Kind::VirtualService => self.seen.virtual_service = Some(object),
            Kind::ConfigMap | Kind::Secret => {
                let name = object.metadata.name.clone();
                self.seen.copies.retain(|it| it.metadata.name != name || it.types != object.types);
                self.seen.copies.push(object);
            }
            _ => {}
        }
    }

    /// The plugins of the Canary's scopes, as if it were the only one.
    pub(crate) fn plugins(&self, status: &Status) -> Vec<DynamicObject> {
        let scopes = self.facts.callers.scopes(&self.facts.identity.namespace);
        let member = Member { scopes: scopes.clone(), rollout: self.desired(status).rollout };
        let gathered = tables(&[member]);
        assert_eq!(gathered.refused, []);
        let order = Order { token: "a-token-of-the-scope", revived: 0 };
        let plugins = gathered
            .scopes
            .iter()
            .map(|(scope, rollouts)| plugin(scope, rollouts, &scopes, order, &installation()));
        plugins.collect()
    }

    /// Every `ConfigMap` and Secret that a template names, and that is not optional, is there.
    pub(crate) fn has_all_of(&self, template: &Value) -> bool {
        let all = || self.seen.configs.iter().chain(&self.seen.copies);
        references(template).iter().filter(|it| !it.optional).all(|reference| {
            all().any(|it| {
                Kind::of(it) == Some(reference.kind)
                    && it.metadata.name.as_ref() == Some(&reference.name)
            })
        })
    }
}

/// What a Canary means; nothing may be wrong with it.
fn meaning(read: &Read) -> Release {
    let given = Given { templates: &read.templates, ..Given::default() };
    release(&read.canary, &given).unwrap_or_else(|problems| panic!("{problems}"))
}

pub(crate) fn installation() -> Installation {
    Installation {
        root_namespace: ROOT.to_owned(),
        module: format!("oci://registry.example/serin/filter@sha256:{}", "5e".repeat(32))
            .parse()
            .unwrap(),
        pull_secret: None,
        receiver: Receiver {
            service: "serin".to_owned(),
            namespace: ROOT.to_owned(),
            port: 4180,
            domain: "cluster.local".to_owned(),
            path: "/v1/reports".to_owned(),
            period_ms: 1000,
        },
    }
}

/// A status with a run.
pub(crate) fn status(phase: Phase, stage: Stage, percent: u8, old: &str, new: &str) -> Status {
    let run = Run {
        id: "0123456789abcdef".to_owned(),
        salt: "000102030405060708090a0b0c0d0e0f".to_owned(),
        nonce: "fedcba9876543210".to_owned(),
        revision: new.to_owned(),
        stage,
        weight: Weight::from_percent(percent),
        generation: 3,
        ..Run::default()
    };
    let promoted = if phase == Phase::Succeeded { new } else { old };
    Status {
        phase,
        run: Some(run),
        promoted_revision: Some(promoted.to_owned()),
        tried_revision: Some(new.to_owned()),
        ..Status::default()
    }
}

/// A status before the first run.
pub(crate) fn before(phase: Phase, revision: &str) -> Status {
    Status { phase, promoted_revision: Some(revision.to_owned()), ..Status::default() }
}
