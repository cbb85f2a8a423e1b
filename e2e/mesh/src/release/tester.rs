//! Flagger's own load tester beside a release, whose gates a person opens and closes.

use anyhow::{Context, Result};
use serde_json::json;

use super::target::APP;
use crate::{
    apply::fill,
    forward::Forward,
    load::exchange,
    space::Space,
    stage::{self, SIDECAR},
};

/// Its port in the pod.
const PORT: u16 = 9090;

/// A load tester of the test's own.
pub struct LoadTester {
    namespace: String,
    forward: Forward,
}

impl LoadTester {
    /// Deploys it. Its gates are closed.
    pub async fn set(space: &Space) -> Result<Self> {
        let image = &*space.mesh.settings.images.load_tester;
        let values = [("image", image), ("annotations", SIDECAR)];
        space.apply(&fill(include_str!("../../manifests/loadtester.yaml"), &values)?).await?;
        stage::ready(&space.mesh, &space.name).await?;
        let pod = space.mesh.pod(&space.name, "app=loadtester").await?;
        let forward = Forward::start(&space.mesh.client, &space.name, &pod, PORT).await?;
        Ok(Self { namespace: space.name.clone(), forward })
    }

    /// Opens the Canary's gate: `gate` or `rollback`.
    pub async fn open(&self, gate: &str) -> Result<()> {
        self.tell(&format!("/{gate}/open")).await
    }

    /// Closes it.
    pub async fn close(&self, gate: &str) -> Result<()> {
        self.tell(&format!("/{gate}/close")).await
    }

    async fn tell(&self, path: &str) -> Result<()> {
        let canary = json!({ "name": APP, "namespace": self.namespace });
        let told = exchange(self.forward.address(), path, &canary).await;
        told.map(drop).with_context(|| format!("the load tester at {path}"))
    }
}
