//! One of the recipe's services: its Deployment, its Canary, and the events that are told of it.

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Event};
use kube::{
    Api,
    api::{DynamicObject, ListParams, Patch, PatchParams},
};
use serde_json::json;
use serin_e2e_mesh::{
    apply::{documents, fill, resource},
    eventually,
    forward::Forward,
    load::{Order, Running, faultless},
    release::Story,
    space::Space,
    stage,
};

const RPS: u32 = 15;
/// A load is stopped at the end of its release, long before.
const LONGEST_S: u32 = 600;
const CONTAINER: &str = "podinfod";
const IMAGE: &str = "ghcr.io/stefanprodan/podinfo";

/// A service that is released.
pub(super) struct Service<'s> {
    space: &'s Space,
    pub(super) name: &'static str,
    pub(super) namespace: String,
    pub(super) story: Story,
    way: Order,
    _forward: Option<Forward>,
}

/// The services' names at the gateway end so.
pub(super) fn domain(space: &Space) -> String {
    format!("{}.example", space.token)
}

impl<'s> Service<'s> {
    /// Deploys it and waits until callers outside reach it.
    pub(super) async fn set(
        space: &'s Space,
        name: &'static str,
        namespace: &str,
        gate: &str,
    ) -> Result<Self> {
        let values = [
            ("name", name),
            ("namespace", namespace),
            ("tools", &*space.name),
            ("domain", &*domain(space)),
            ("gate", gate),
            ("annotations", stage::SIDECAR),
        ];
        let yaml = fill(include_str!("../../../manifests/recipe/service.yaml"), &values)?;
        let since = Instant::now();
        for object in documents(&yaml)? {
            space.apply_in(namespace, object).await?;
        }
        let canary = resource("flagger.app/v1beta1", "Canary");
        let client = space.mesh.client.clone();
        let canaries: Api<DynamicObject> = Api::namespaced_with(client, namespace, &canary);
        let story = Story::follow(canaries, name);
        let (gateway, forward) = space.mesh.gateway().await?;
        let way = Order::of(&format!("http://{gateway}/version"), RPS, LONGEST_S)
            .host(&format!("{name}.{}", domain(space)));
        let namespace = namespace.to_owned();
        let service = Self { space, name, namespace, story, way, _forward: forward };
        service.story.phase(since, "Initialized").await?;
        Ok(service)
    }

    /// Callers from outside, once they are answered.
    pub(super) async fn load(&self) -> Result<Running> {
        let probe = self.way.clone().requests(10);
        eventually("callers at the gateway to be answered", async || {
            faultless(&probe.run_here().await?)?;
            Ok(Some(()))
        })
        .await?;
        self.way.begin_here()
    }

    /// `kubectl set image`.
    pub(super) async fn set_image(&self, tag: &str) -> Result<Instant> {
        let container = json!({"name": CONTAINER, "image": format!("{IMAGE}:{tag}")});
        let patch = json!({"spec": {"template": {"spec": {"containers": [container]}}}});
        let changed = Instant::now();
        let patch = Patch::Strategic(patch);
        self.deployments().patch(self.name, &PatchParams::default(), &patch).await?;
        Ok(changed)
    }

    /// What serves.
    pub(super) async fn primary_image(&self) -> Result<String> {
        let primary = self.deployments().get(&format!("{}-primary", self.name)).await?;
        let pods = primary.spec.template.spec.context("a pod's template")?;
        let container = pods.containers.into_iter().find(|it| it.name == CONTAINER);
        container.and_then(|it| it.image).context("primary runs podinfo")
    }

    /// A line of Flagger's with this service's names.
    pub(super) fn said(&self, line: &str) -> String {
        let Self { name, namespace, .. } = self;
        line.replace("{name}", &format!("{name}.{namespace}"))
            .replace("{primary}", &format!("{name}-primary.{namespace}"))
    }

    /// Waits until `kubectl describe canary` shows these lines, or lines that begin so, in this order.
    pub(super) async fn tells(&self, lines: &[String]) -> Result<()> {
        eventually(&format!("the story of {}", self.name), async || {
            let events = self.events().await?;
            let mut told = events.iter();
            for line in lines {
                if !told.any(|it| it.starts_with(line)) {
                    bail!("not told, or not in order: {line}\n  {}", events.join("\n  "));
                }
            }
            Ok(Some(()))
        })
        .await
    }

    /// The events of its Canary, as `kubectl describe` finds them, from the oldest.
    async fn events(&self) -> Result<Vec<String>> {
        let of = format!("involvedObject.kind=Canary,involvedObject.name={}", self.name);
        let events = self.space.mesh.api::<Event>(&self.namespace);
        let mut events = events.list(&ListParams::default().fields(&of)).await?.items;
        events.sort_by_key(|it| it.event_time.as_ref().map(|time| time.0));
        let all = events.iter().all(|it| it.reason.as_deref() == Some("Synced"));
        ensure!(all, "an event whose reason is not Flagger's: {events:#?}");
        Ok(events.into_iter().filter_map(|it| it.message).collect())
    }

    fn deployments(&self) -> Api<Deployment> {
        self.space.mesh.api(&self.namespace)
    }
}
