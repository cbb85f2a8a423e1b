//! An app that serves already is taken over, and its callers notice nothing.

use anyhow::{Result, ensure};
use serin_e2e_mesh::{
    eventually,
    load::{Load, Order, faultless},
    release::{APP, Release, released},
    say,
    space::Space,
};

const SERVICE: &str = "\
apiVersion: v1
kind: Service
metadata: {name: shop}
spec:
  selector: {app: shop}
  ports: [{name: http, port: 80, targetPort: 8080}]
";

const CANARY: &str = "\
apiVersion: serin.dev/v1beta1
kind: Canary
metadata: {name: shop}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
  service: {port: 80, targetPort: 8080}
  analysis: {interval: 3s, threshold: 3, stepWeights: [30, 60]}
";

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_taken_over_while_it_serves() -> Result<()> {
    released("adoption", taken_over).await
}

async fn taken_over(space: &Space) -> Result<()> {
    Release::deploy(space).await?;
    space.apply(SERVICE).await?;
    let load = Load::of(&space.mesh, &space.name).await?;
    let order = |rps, seconds| Order::of(&format!("http://{APP}/"), rps, seconds).patience("60s");
    eventually("callers to be answered before", async || {
        faultless(&load.run(&order(20, 1)).await?)?;
        Ok(Some(()))
    })
    .await?;
    let running = load.begin(order(50, 600));
    let release = Release::of(space, CANARY).await?;
    release.scaled(APP, 0).await?;
    release.reached().await?;
    let outcome = running.stop().await?;
    say(&format!("adoption: {} requests while it was taken over", outcome.sent));
    faultless(&outcome)?;
    ensure!(release.story.last().phase == "Initialized", "a release has begun");
    Ok(())
}
