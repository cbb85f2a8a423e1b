//! Versions whose pods never become ready: nobody meets them.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
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
  progressDeadlineSeconds: 15
  service: {port: 80, targetPort: 8080}
  analysis: {interval: 5s, threshold: 3, stepWeights: [10, 50]}
";

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_does_not_exist_meets_nobody() -> Result<()> {
    let change = json!({"image": "rig.serin.dev/nowhere:1"});
    released("image", async |space| meets_nobody(space, change).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_crashes_at_its_start_meets_nobody() -> Result<()> {
    let change = json!({"args": ["--no-such-option"]});
    released("start", async |space| meets_nobody(space, change).await).await
}

async fn meets_nobody(space: &Space, change: Value) -> Result<()> {
    let release = Release::set(space, CANARY).await?;
    let traffic = Traffic::inside(&release, [release.inside(50)]);
    let changed = release.change(change).await?;
    let end = release.story.ends(changed, "Failed").await?;
    release.scaled("shop", 0).await?;
    let counted = traffic.stop().await?;
    say(&format!("{}:\n{}", space.name, release.story.told(changed)));
    counted.only_the_app_failed()?;
    say(&format!(
        "{}: {} requests, given up {:.1} s after the change",
        space.name,
        counted.sent(),
        (end.at - changed).as_secs_f64(),
    ));
    let weights = release.story.weights(changed);
    ensure!(weights.iter().all(|it| *it == 0.0), "it had a weight: {weights:?}");
    ensure!(counted.by("v1") == counted.sent(), "somebody else answered: {:?}", counted.outcomes);
    ensure!(release.replicas("shop-primary").await? == 2, "primary has lost pods");
    Ok(())
}
