//! A Canary that is deleted gives back what it took: the target its pods, the Service its selector, and callers notice
//! nothing.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Service};
use kube::api::DeleteParams;
use serin_e2e_mesh::{
    eventually,
    release::{APP, Release, Traffic, released},
    say,
    space::Space,
};

/// The Service was there before.
const CANARY: &str = "\
apiVersion: v1
kind: Service
metadata: {name: shop}
spec:
  selector: {app: shop}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: serin.dev/v1beta1
kind: Canary
metadata: {name: shop}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
  service: {port: 80, targetPort: 8080}
  revertOnDeletion: true
  analysis: {interval: 3s, threshold: 3, stepWeights: [30, 60]}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_canary_gives_the_target_its_pods_and_traffic_back() -> Result<()> {
    released("deletion", at_rest).await
}

#[tokio::test(flavor = "multi_thread")]
async fn so_does_one_that_is_deleted_in_the_middle_of_a_release() -> Result<()> {
    released("deletion-midway", midway).await
}

async fn at_rest(space: &Space) -> Result<()> {
    let release = Release::set(space, CANARY).await?;
    let traffic = Traffic::inside(&release, [release.inside(50)]);
    delete(&release).await?;
    let counted = traffic.stop().await?;
    counted.only_the_app_failed()
}

async fn midway(space: &Space) -> Result<()> {
    let release = Release::set(space, CANARY).await?;
    let traffic = Traffic::inside(&release, [release.inside(50)]);
    let changed = release.version("v2", &[]).await?;
    release.story.weight(changed, 30.0).await?;
    let gone = delete(&release).await?;
    let counted = traffic.stop().await?;
    counted.only_the_app_failed()?;
    // The target is the new version by then.
    counted.ended("v1", gone)
}

/// Deletes the Canary and waits until nothing of it is left but what was there before, and callers are answered by
/// that. When the Canary had gone.
pub(crate) async fn delete(release: &Release<'_>) -> Result<Instant> {
    let began = Instant::now();
    release.canaries().delete(APP, &DeleteParams::default()).await?;
    let gone = is_gone(release, began).await?;
    let space = release.space;
    let service = space.mesh.api::<Service>(&space.name).get(APP).await?;
    let selector = service.spec.and_then(|spec| spec.selector).context("a selector")?;
    ensure!(selector.get("app").map(String::as_str) == Some(APP), "it selects {selector:?}");
    ensure!(selector.len() == 1, "it selects {selector:?}");
    ensure!(release.replicas(APP).await? == 2, "the target has not got its pods back");
    let deployments = space.mesh.api::<Deployment>(&space.name);
    eventually("primary to be gone", async || {
        Ok(deployments.get_opt("shop-primary").await?.is_none().then_some(()))
    })
    .await?;
    release.reached().await?;
    Ok(gone)
}

async fn is_gone(release: &Release<'_>, began: Instant) -> Result<Instant> {
    eventually("the Canary to be gone", async || {
        Ok(release.canaries().get_opt(APP).await?.is_none().then_some(()))
    })
    .await?;
    let took = began.elapsed().as_secs_f64();
    say(&format!("{}: gone {took:.1} s after it was deleted", release.space.name));
    Ok(Instant::now())
}
