//! istiod, to be taken away for a while.

use std::panic::AssertUnwindSafe;

use anyhow::{Result, anyhow};
use futures_util::FutureExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::ListParams};

use crate::{eventually, mesh::Mesh, stage};

/// Does something while there is no istiod, which comes back whatever became of it.
pub async fn without_istiod<T>(mesh: &Mesh, act: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
    let namespace = &mesh.settings.istio_namespace;
    stage::scale(mesh, namespace, "istiod", 0).await?;
    let acted = AssertUnwindSafe(async {
        gone(mesh).await?;
        act().await
    });
    let acted = acted.catch_unwind().await;
    stage::scale(mesh, namespace, "istiod", 1).await?;
    stage::ready(mesh, namespace).await?;
    acted.unwrap_or_else(|_| Err(anyhow!("panicked while istiod was away")))
}

async fn gone(mesh: &Mesh) -> Result<()> {
    let pods: Api<Pod> = mesh.api(&mesh.settings.istio_namespace);
    eventually("istiod to be gone", async || {
        let left = pods.list_metadata(&ListParams::default().labels("app=istiod")).await?;
        Ok(left.items.is_empty().then_some(()))
    })
    .await
}
