//! Without an analysis a new version is promoted as soon as it is ready.

use anyhow::{Result, ensure};
use serin_e2e_mesh::{
    release::{Release, Traffic, released},
    say,
    space::Space,
};

const CANARY: &str = "\
apiVersion: serin.dev/v1beta1
kind: Canary
metadata: {name: shop}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
  service: {port: 80, targetPort: 8080}
  skipAnalysis: true
  analysis: {interval: 1m, threshold: 3, stepWeights: [20, 50]}
";

#[tokio::test(flavor = "multi_thread")]
async fn without_an_analysis_it_is_promoted_at_once() -> Result<()> {
    released("skip-analysis", at_once).await
}

async fn at_once(space: &Space) -> Result<()> {
    let release = Release::set(space, CANARY).await?;
    let traffic = Traffic::inside(&release, [release.inside(50)]);
    let changed = release.version("v2", &[]).await?;
    let end = release.story.ends(changed, "Succeeded").await?;
    release.scaled("shop", 0).await?;
    let counted = traffic.stop().await?;
    say(&format!("skip-analysis:\n{}", release.story.told(changed)));
    counted.only_the_app_failed()?;
    let weights = release.story.weights(changed);
    ensure!(weights == [0.0], "weights were {weights:?}");
    counted.ended("v1", end.at)?;
    Ok(())
}
