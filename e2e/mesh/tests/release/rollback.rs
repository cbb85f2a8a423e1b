//! A bad version comes back by itself.

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
  analysis:
    interval: 20s
    threshold: 5
    stepWeights: [10, 30, 60]
    evidence: {latencyWarmup: 5s}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_fails_comes_back_before_many_have_met_it() -> Result<()> {
    released("errors", async |space| comes_back(space, ("FAULTY_FAIL", "30%")).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_slow_comes_back() -> Result<()> {
    released("delay", async |space| comes_back(space, ("FAULTY_DELAY", "300ms")).await).await
}

async fn comes_back(space: &Space, fault: (&str, &str)) -> Result<()> {
    let release = Release::set(space, CANARY).await?;
    let traffic = Traffic::inside(&release, [release.inside(60)]);
    let changed = release.version("v2", &[fault]).await?;
    let end = release.story.ends(changed, "Failed").await?;
    release.scaled("shop", 0).await?;
    let counted = traffic.stop().await?;
    say(&format!("{}:\n{}", space.name, release.story.told(changed)));
    counted.only_the_app_failed()?;
    let (first, last) = counted.span("v2").context("the new version has answered")?;
    let (sent, canary, failed) = (counted.sent(), counted.by("v2"), counted.failed_by_app());
    say(&format!(
        "{}: {sent} requests, {canary} to the canary, {failed} failed by it; rolled back {:.1} s after the first, {:.1} s after the change",
        space.name,
        (end.at - first).as_secs_f64(),
        (end.at - changed).as_secs_f64(),
    ));
    // Answers under way when the weight went to 0 were still to come.
    ensure!(
        last.saturating_duration_since(end.at).as_secs() < 2,
        "the canary answered after the end"
    );
    ensure!(canary * 10 < sent, "{canary} of {sent} requests met a version at 10 %");
    ensure!(release.story.weights(changed).iter().all(|it| *it <= 10.0), "its weight has risen");
    ensure!(release.replicas("shop-primary").await? == 2, "primary has lost pods");
    Ok(())
}
