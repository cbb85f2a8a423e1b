//! A healthy version goes out by weights.

use anyhow::{Context, Result, ensure};
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
  analysis: {interval: 5s, threshold: 3, stepWeights: [10, 30, 60]}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_version_goes_out_by_weights_between_sidecars() -> Result<()> {
    released("promotion", between_sidecars).await
}

async fn between_sidecars(space: &Space) -> Result<()> {
    let release = Release::set(space, CANARY).await?;
    let traffic = Traffic::inside(&release, [release.inside(50)]);
    let changed = release.version("v2", &[]).await?;
    let end = release.story.ends(changed, "Succeeded").await?;
    release.scaled("shop", 0).await?;
    let counted = traffic.stop().await?;
    say(&format!("promotion:\n{}", release.story.told(changed)));
    counted.only_the_app_failed()?;
    let (first, _) = counted.span("v2").context("the new version has answered")?;
    let (_, last) = counted.span("v1").context("the old version has answered")?;
    say(&format!(
        "promotion: first request to the canary after {:.1} s, promoted after {:.1} s, the old version's last answer {:.1} s before",
        (first - changed).as_secs_f64(),
        (end.at - changed).as_secs_f64(),
        end.at.saturating_duration_since(last).as_secs_f64(),
    ));
    let weights = release.story.weights(changed);
    ensure!(weights.starts_with(&[0.0, 10.0, 30.0, 60.0]), "weights were {weights:?}");
    ensure!(last < end.at, "the old version answered after the end");
    Ok(())
}
