//! A person holds a release, and lets it go on.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use serin_e2e_mesh::{
    release::{Release, Traffic, released},
    say,
    space::Space,
};
use tokio::time::sleep;

const CANARY: &str = "\
apiVersion: serin.dev/v1beta1
kind: Canary
metadata: {name: shop}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
  service: {port: 80, targetPort: 8080}
  analysis: {interval: 3s, threshold: 3, stepWeights: [20, 50]}
";

/// Two intervals, and more than the controller needs to see a new revision.
const HOLD: Duration = Duration::from_secs(7);

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_canary_does_nothing_until_it_is_not() -> Result<()> {
    released("suspend", suspended).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_release_keeps_its_weight_until_it_is_resumed() -> Result<()> {
    released("pause", paused).await
}

async fn suspended(space: &Space) -> Result<()> {
    let release = Release::set(space, CANARY).await?;
    let traffic = Traffic::inside(&release, [release.inside(50)]);
    release.edit(json!({"spec": {"suspend": true}})).await?;
    let changed = release.version("v2", &[]).await?;
    release.story.stands(HOLD, "Initialized", 0.0).await?;
    ensure!(release.replicas("shop").await? == 0, "the target was given pods");

    let resumed = release.edit(json!({"spec": {"suspend": false}})).await?;
    release.story.weight(resumed, 20.0).await?;
    let held = release.edit(json!({"spec": {"suspend": true}})).await?;
    // A step that was under way has ended by then.
    sleep(Duration::from_millis(500)).await;
    let weight = release.story.last().weight;
    release.story.stands(HOLD, "Progressing", weight).await?;
    release.edit(json!({"spec": {"suspend": false}})).await?;
    let end = release.story.ends(held, "Succeeded").await?;
    release.scaled("shop", 0).await?;
    let counted = traffic.stop().await?;
    say(&format!("suspend:\n{}", release.story.told(changed)));
    counted.only_the_app_failed()?;
    let early = counted.span("v2").is_none_or(|(first, _)| first < resumed);
    ensure!(!early, "the new version was met while the Canary was suspended, or never");
    counted.ended("v1", end.at)
}

async fn paused(space: &Space) -> Result<()> {
    let release = Release::set(space, CANARY).await?;
    let traffic = Traffic::inside(&release, [release.inside(50)]);
    let changed = release.version("v2", &[]).await?;
    release.story.weight(changed, 20.0).await?;
    intent(&release, "pause").await?;
    sleep(Duration::from_millis(500)).await;
    let weight = release.story.last().weight;
    ensure!(weight < 50.0, "it was not paused in time");
    release.story.stands(HOLD, "Progressing", weight).await?;
    intent(&release, "resume").await?;
    release.story.ends(changed, "Succeeded").await?;
    release.scaled("shop", 0).await?;
    let counted = traffic.stop().await?;
    say(&format!("pause:\n{}", release.story.told(changed)));
    counted.only_the_app_failed()
}

/// As `serin pause` and `serin resume` write it.
async fn intent(release: &Release<'_>, word: &str) -> Result<()> {
    release.edit(json!({"metadata": {"annotations": {"serin.dev/intent": word}}})).await?;
    Ok(())
}
