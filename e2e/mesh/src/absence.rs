//! Parts of the cluster, to be taken away for a while.

use std::panic::AssertUnwindSafe;

use anyhow::{Context, Result, anyhow};
use futures_util::FutureExt;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{Api, api::ListParams};

use crate::{eventually, mesh::Mesh, stage};

/// Does something while a Deployment has no pod; it comes back whatever became of that.
pub async fn without<T>(
    mesh: &Mesh,
    namespace: &str,
    name: &str,
    act: impl AsyncFnOnce() -> Result<T>,
) -> Result<T> {
    let size = mesh.api::<Deployment>(namespace).get(name).await?.spec.replicas.unwrap_or(1);
    stage::scale(mesh, namespace, name, 0).await?;
    let acted = AssertUnwindSafe(async {
        gone(mesh, namespace, name).await?;
        act().await
    });
    let acted = acted.catch_unwind().await;
    stage::scale(mesh, namespace, name, u32::try_from(size)?.max(1)).await?;
    stage::ready(mesh, namespace).await?;
    acted.unwrap_or_else(|_| Err(anyhow!("panicked while {name} was away")))
}

async fn gone(mesh: &Mesh, namespace: &str, name: &str) -> Result<()> {
    let deployment = mesh.api::<Deployment>(namespace).get(name).await?;
    let labels = deployment.spec.selector.match_labels.context("a Deployment selects by labels")?;
    let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let pods: Api<Pod> = mesh.api(namespace);
    eventually(&format!("{name} to be gone"), async || {
        let left = pods.list_metadata(&ListParams::default().labels(&labels.join(","))).await?;
        Ok(left.items.is_empty().then_some(()))
    })
    .await
}
