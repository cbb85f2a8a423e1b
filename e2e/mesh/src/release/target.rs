//! An app that is released, and its Canary.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, ResourceExt,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::story::Story;
use crate::{
    accesslog,
    apply::{self, fill},
    eventually,
    load::{Load, Order, faultless},
    space::Space,
    stage,
};

/// The app's Deployment, its Service and its Canary.
pub const APP: &str = "shop";

/// An app under release.
pub struct Release<'s> {
    /// Its namespace.
    pub space: &'s Space,
    /// The load generator beside it.
    pub load: Load,
    /// What its Canary's status tells.
    pub story: Story,
    canaries: Api<DynamicObject>,
}

impl<'s> Release<'s> {
    /// Deploys version `v1` and this Canary, and waits until callers reach it through what was made for that. In the
    /// text, `{{namespace}}` stands for the test's own.
    pub async fn set(space: &'s Space, canary: &str) -> Result<Self> {
        Self::deploy(space).await?;
        Self::of(space, canary).await
    }

    /// Version `v1` and a load generator beside it.
    pub async fn deploy(space: &Space) -> Result<()> {
        accesslog::enable(space).await?;
        let values =
            [("image", &*space.mesh.settings.images.faulty), ("annotations", stage::SIDECAR)];
        space.apply(&fill(include_str!("../../manifests/target.yaml"), &values)?).await?;
        stage::loader(space).await?;
        stage::ready(&space.mesh, &space.name).await
    }

    /// The Canary of what is deployed.
    pub async fn of(space: &'s Space, canary: &str) -> Result<Self> {
        let canary = fill(canary, &[("namespace", &space.name)])?;
        let mut applied = None;
        for object in apply::documents(&canary)? {
            applied = Some(space.apply_in(&space.name, object).await?);
        }
        let canary = applied.context("the Canary is the last of the documents")?;
        let version = canary.types.as_ref().map(|it| it.api_version.clone()).unwrap_or_default();
        let resource = apply::resource(&version, "Canary");
        let canaries: Api<DynamicObject> =
            Api::namespaced_with(space.mesh.client.clone(), &space.name, &resource);
        let story = Story::follow(canaries.clone(), &canary.name_any());
        let release =
            Self { space, load: Load::of(&space.mesh, &space.name).await?, story, canaries };
        release.story.phase(Instant::now(), "Initialized").await?;
        release.reached().await?;
        Ok(release)
    }

    /// Load from inside the mesh.
    pub fn inside(&self, rps: u32) -> Order {
        Order::of(&format!("http://{APP}/"), rps, LONGEST_S).patience(ANSWER_WITHIN)
    }

    /// A new version: a change of the pods' environment, as by `kubectl set env`. What a version before has set stays
    /// set.
    pub async fn version(&self, name: &str, env: &[(&str, &str)]) -> Result<Instant> {
        let named = [("FAULTY_VERSION_NAME", name)];
        let env = named.iter().chain(env);
        let env: Vec<_> = env.map(|(name, value)| json!({"name": name, "value": value})).collect();
        self.change(json!({"env": env})).await
    }

    /// A new image, as by `kubectl set image`.
    pub async fn image(&self, image: &str) -> Result<Instant> {
        self.change(json!({"image": image})).await
    }

    /// Changes the app's container. When that was.
    pub async fn change(&self, mut container: Value) -> Result<Instant> {
        container["name"] = json!("app");
        let patch = json!({"spec": {"template": {"spec": {"containers": [container]}}}});
        let changed = Instant::now();
        let deployments: Api<Deployment> = self.space.mesh.api(&self.space.name);
        deployments.patch(APP, &PatchParams::default(), &Patch::Strategic(patch)).await?;
        Ok(changed)
    }

    /// Changes the Canary. When that was.
    pub async fn edit(&self, patch: Value) -> Result<Instant> {
        let changed = Instant::now();
        self.canaries.patch(APP, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(changed)
    }

    /// The Canaries of its namespace and group.
    pub fn canaries(&self) -> &Api<DynamicObject> {
        &self.canaries
    }

    /// How many pods a Deployment should have.
    pub async fn replicas(&self, name: &str) -> Result<i32> {
        let deployment = self.space.mesh.api::<Deployment>(&self.space.name).get(name).await?;
        Ok(deployment.spec.replicas.unwrap_or(1))
    }

    /// Waits until a Deployment should have so many pods.
    pub async fn scaled(&self, name: &str, replicas: i32) -> Result<()> {
        eventually(&format!("{name} to be scaled to {replicas}"), async || {
            let found = self.replicas(name).await?;
            ensure!(found == replicas, "it has {found}");
            Ok(Some(()))
        })
        .await
    }

    /// Waits until callers in the mesh are answered: their sidecars hear of new routes a moment later.
    pub async fn reached(&self) -> Result<()> {
        let probe = Order::of(&format!("http://{APP}/"), 20, 1);
        eventually("callers to be answered", async || {
            faultless(&self.load.run(&probe).await?)?;
            Ok(Some(()))
        })
        .await
    }
}

/// On a machine that has much else to do an answer may take its time; whoever gets none by then never will.
const ANSWER_WITHIN: &str = "60s";
/// A load is stopped at the end of its release, long before.
pub(super) const LONGEST_S: u32 = 600;
