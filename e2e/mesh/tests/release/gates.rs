//! Gates, held by Flagger's own load tester: what is closed holds, and holds nothing else up.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serin_e2e_mesh::{
    release::{LoadTester, Release, Traffic, released_as_flaggers},
    say,
    space::Space,
};

const CANARY: &str = "\
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: shop}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
  service: {port: 80, targetPort: 8080}
  analysis:
    interval: 10s
    threshold: 3
    stepWeights: [20, 50]
    webhooks:
    - {name: start, type: confirm-rollout, url: 'http://loadtester.{{namespace}}/gate/check'}
    - name: acceptance
      type: pre-rollout
      url: http://loadtester.{{namespace}}/
      timeout: 15s
      metadata:
        type: bash
        cmd: curl -sf http://shop-canary.{{namespace}}/ | grep -q '\"version\":\"v2\"'
    - name: load
      type: rollout
      url: http://loadtester.{{namespace}}/
      metadata: {type: cmd, cmd: 'hey -z 10s -q 5 -c 1 http://shop-canary.{{namespace}}/'}
    - {name: more, type: confirm-traffic-increase, url: 'http://loadtester.{{namespace}}/gate/check'}
    - {name: all, type: confirm-promotion, url: 'http://loadtester.{{namespace}}/gate/check'}
    - {name: back, type: rollback, url: 'http://loadtester.{{namespace}}/rollback/check'}
";

/// Longer than an interval, after which a gate is asked again.
const HOLD: Duration = Duration::from_secs(12);

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_gate_holds_until_it_is_opened() -> Result<()> {
    released_as_flaggers("gates", opened).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_rollback_gate_takes_a_release_back() -> Result<()> {
    released_as_flaggers("rollback-gate", taken_back).await
}

async fn opened(space: &Space) -> Result<()> {
    let tester = LoadTester::set(space).await?;
    let release = Release::set(space, CANARY).await?;
    let traffic = Traffic::inside(&release, [release.inside(50)]);
    let changed = release.version("v2", &[]).await?;
    release.story.phase(changed, "Waiting").await?;
    release.story.stands(HOLD, "Waiting", 0.0).await?;
    ensure!(release.replicas("shop").await? == 0, "the target was given pods");
    // One gate of the load tester answers for all of a Canary's, so each is closed again once it has been passed.
    tester.open("gate").await?;
    let began = Instant::now();
    release.story.weight(changed, 20.0).await?;
    tester.close("gate").await?;
    release.story.stands(HOLD, "Progressing", 20.0).await?;
    tester.open("gate").await?;
    release.story.weight(changed, 50.0).await?;
    tester.close("gate").await?;
    release.story.phase(changed, "WaitingPromotion").await?;
    release.story.stands(HOLD, "WaitingPromotion", 50.0).await?;
    tester.open("gate").await?;
    release.story.ends(changed, "Succeeded").await?;
    release.scaled("shop", 0).await?;
    let counted = traffic.stop().await?;
    say(&format!("gates:\n{}", release.story.told(changed)));
    counted.only_the_app_failed()?;
    let (first, _) = counted.span("v2").context("the new version has answered")?;
    ensure!(first > began, "a caller met the new version before its gate was opened");
    let failed = release.story.all().iter().map(|it| it.scene.failed_checks).max();
    ensure!(failed == Some(0), "{failed:?} checks have failed");
    Ok(())
}

async fn taken_back(space: &Space) -> Result<()> {
    let tester = LoadTester::set(space).await?;
    let release = Release::set(space, CANARY).await?;
    tester.open("gate").await?;
    let traffic = Traffic::inside(&release, [release.inside(50)]);
    let changed = release.version("v2", &[]).await?;
    release.story.weight(changed, 20.0).await?;
    tester.open("rollback").await?;
    let end = release.story.ends(changed, "Failed").await?;
    release.scaled("shop", 0).await?;
    let counted = traffic.stop().await?;
    say(&format!("rollback-gate:\n{}", release.story.told(changed)));
    counted.only_the_app_failed()?;
    counted.ended("v2", end.at)?;
    ensure!(release.replicas("shop-primary").await? == 2, "primary has lost pods");
    Ok(())
}
