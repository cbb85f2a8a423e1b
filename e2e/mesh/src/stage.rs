//! What most tests play on: both tracks of an app, a load generator and a receiver of reports, all with sidecars that
//! run the filter.

use std::{collections::BTreeMap, time::Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;
use serin_e2e::table::nonce;
use serin_route::{Kind, Rollout, route_name};

use crate::{
    apply::fill, envoy, eventually, load::Load, mesh::Mesh, plugin::Plugin, reports::Reports,
    space::Space,
};

/// What injection is told: little is requested, for many pods share few cores, and two workers each, for one would hide
/// what differs between them.
pub const SIDECAR: &str = r#"{
  "proxy.istio.io/config": "concurrency: 2",
  "sidecar.istio.io/proxyCPU": "5m",
  "sidecar.istio.io/proxyMemory": "40Mi"
}"#;

/// The stage of one test.
pub struct Stage<'s> {
    /// Its namespace.
    pub space: &'s Space,
    /// The sidecars' filter.
    pub plugin: Plugin,
    /// What the receiver gets.
    pub reports: Reports,
    /// The load generator in the mesh.
    pub load: Load,
    /// VMs that run the filter: each worker's and the main thread's of every sidecar.
    pub vms: usize,
}

/// Where a rollout's routes are bound.
pub struct Binding<'s> {
    /// The `VirtualService`'s name.
    pub object: &'s str,
    /// Hosts.
    pub hosts: &'s [String],
    /// Gateways: `mesh` is the sidecars.
    pub gateways: &'s [String],
}

impl<'s> Stage<'s> {
    /// Sets the usual stage: the filter runs in every sidecar, with an empty table.
    pub async fn set(space: &'s Space) -> Result<Self> {
        let plugin = Plugin::of_sidecars(space).await?;
        plugin.put(space, &[]).await?;
        receiver(space, &space.name).await?;
        Self::with(space, plugin).await
    }

    /// Sets it around a plugin that is in force already, and whose receiver is.
    pub async fn with(space: &'s Space, plugin: Plugin) -> Result<Self> {
        let began = Instant::now();
        tracks(space, 1).await?;
        loader(space).await?;
        ready(&space.mesh, &space.name).await?;
        ready(&space.mesh, &plugin.receiver).await?;
        let reports = Reports::follow(&space.mesh, &plugin.receiver).await?;
        let load = Load::of(&space.mesh, &space.name).await?;
        let vms = vms(&space.mesh, &space.name).await?;
        crate::say(&format!("{}: set in {:.1} s", space.name, began.elapsed().as_secs_f64()));
        Ok(Self { space, plugin, reports, load, vms })
    }

    /// Puts rollouts in force and waits until every VM has shown them.
    pub async fn apply(&self, rollouts: &[Rollout]) -> Result<()> {
        let since = Instant::now();
        self.plugin.put(self.space, rollouts).await?;
        self.reports.acknowledged(rollouts, self.vms, since).await.map(drop)
    }
}

/// Both tracks' Deployments and Services, and the apex.
pub async fn tracks(space: &Space, replicas: u32) -> Result<()> {
    space.apply(&fill(include_str!("../manifests/apex.yaml"), &[("name", "shop")])?).await?;
    for track in ["primary", "canary"] {
        let values = [
            ("track", track),
            ("replicas", &*replicas.to_string()),
            ("image", &*space.mesh.settings.images.faulty),
            ("annotations", SIDECAR),
        ];
        space.apply(&fill(include_str!("../manifests/track.yaml"), &values)?).await?;
    }
    Ok(())
}

/// One more name for the app.
pub async fn apex(space: &Space, name: &str) -> Result<()> {
    space.apply(&fill(include_str!("../manifests/apex.yaml"), &[("name", name)])?).await
}

/// A receiver of reports.
pub async fn receiver(space: &Space, namespace: &str) -> Result<()> {
    let values = [
        ("image", &*space.mesh.settings.images.receiver),
        ("annotations", SIDECAR),
        ("token", serin_e2e::receiver::TOKEN),
    ];
    let yaml = fill(include_str!("../manifests/receiver.yaml"), &values)?;
    for object in crate::apply::documents(&yaml)? {
        space.apply_in(namespace, object).await?;
    }
    Ok(())
}

/// A load generator that waits for orders.
pub async fn loader(space: &Space) -> Result<()> {
    let values = [("image", &*space.mesh.settings.images.load), ("annotations", SIDECAR)];
    space.apply(&fill(include_str!("../manifests/load.yaml"), &values)?).await
}

/// The routes of a rollout.
pub async fn routes(space: &Space, rollout: &str, binding: &Binding<'_>) -> Result<()> {
    bound(space, include_str!("../manifests/routes.yaml"), rollout, binding).await
}

/// The same, delegated to by a `VirtualService` that is not ours.
pub async fn delegated(space: &Space, rollout: &str, binding: &Binding<'_>) -> Result<()> {
    bound(space, include_str!("../manifests/delegated.yaml"), rollout, binding).await
}

/// The routes of the rollout `shop` in the sidecars: what most tests want.
pub async fn shop(space: &Space) -> Result<()> {
    let (hosts, gateways) = (["shop".to_owned()], ["mesh".to_owned()]);
    routes(space, "shop", &Binding { object: "shop", hosts: &hosts, gateways: &gateways }).await
}

async fn bound(space: &Space, yaml: &str, rollout: &str, binding: &Binding<'_>) -> Result<()> {
    let values = [
        ("object", binding.object.to_owned()),
        ("hosts", json!(binding.hosts).to_string()),
        ("gateways", json!(binding.gateways).to_string()),
        ("canary", route_name(rollout, &space.name, Kind::Canary)),
        ("primary", route_name(rollout, &space.name, Kind::Primary)),
        ("nonce", nonce(rollout)),
        ("namespace", space.name.clone()),
    ];
    let values: Vec<_> = values.iter().map(|(name, value)| (*name, &**value)).collect();
    space.apply(&fill(yaml, &values)?).await
}

/// Waits until every Deployment of a namespace is complete.
pub async fn ready(mesh: &Mesh, namespace: &str) -> Result<()> {
    let deployments: Api<Deployment> = mesh.api(namespace);
    eventually(&format!("pods of {namespace} to be ready"), async || {
        let all = deployments.list(&ListParams::default()).await?;
        let waiting: Vec<_> =
            all.items.iter().filter(|it| !is_complete(it)).map(ResourceExt::name_any).collect();
        ensure!(waiting.is_empty(), "not ready: {}", waiting.join(", "));
        Ok(Some(()))
    })
    .await
}

/// Sets a Deployment's size.
pub async fn scale(mesh: &Mesh, namespace: &str, name: &str, replicas: u32) -> Result<()> {
    let deployments: Api<Deployment> = mesh.api(namespace);
    let size = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    let scaled = deployments.patch_scale(name, &PatchParams::default(), &size).await;
    scaled.map(drop).with_context(|| format!("{name} could not be scaled to {replicas}"))
}

/// Replaces a Deployment's pods one by one, as `kubectl rollout restart` does.
pub async fn restart(mesh: &Mesh, namespace: &str, name: &str) -> Result<()> {
    mesh.api::<Deployment>(namespace).restart(name).await?;
    Ok(())
}

/// How many VMs run the filter in a namespace's sidecars.
pub async fn vms(mesh: &Mesh, namespace: &str) -> Result<usize> {
    let mut vms = 0;
    for pod in mesh.api::<Pod>(namespace).list(&ListParams::default()).await? {
        vms += envoy::vms(mesh, namespace, &pod.name_any()).await?;
    }
    Ok(vms)
}

/// Whether all pods of its newest template are ready, and no others are left.
fn is_complete(deployment: &Deployment) -> bool {
    let wanted = deployment.spec.replicas.unwrap_or(1);
    let Some(status) = &deployment.status else { return false };
    let counts: BTreeMap<_, _> = [
        ("all", status.replicas),
        ("new", status.updated_replicas),
        ("ready", status.ready_replicas),
    ]
    .into_iter()
    .collect();
    let is_seen = status.observed_generation >= deployment.metadata.generation;
    is_seen && counts.values().all(|count| count.unwrap_or(0) == wanted)
}
