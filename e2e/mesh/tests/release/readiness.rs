//! Versions whose pods come and go while they have traffic.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use serin_e2e_mesh::{
    eventually,
    release::{Pods, Release, Scene, Traffic, released},
    say,
};
use tokio::time::sleep;

const CANARY: &str = "\
apiVersion: serin.dev/v1beta1
kind: Canary
metadata: {name: shop}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
  service: {port: 80, targetPort: 8080}
  analysis: {interval: 20s, threshold: 3, stepWeights: [10, 50]}
";

/// After so many its author has seen enough.
const CRASHES: usize = 3;

/// It serves all the time, but is not ready for some of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_whose_readiness_flaps_has_weight_only_while_it_is_ready() -> Result<()> {
    released("flapping", async |space| {
        let release = Release::set(space, CANARY).await?;
        let traffic = Traffic::inside(&release, [release.inside(60)]);
        let pods = Pods::follow(space);
        let changed = release.version("v2", &[]).await?;
        let up = release.story.weight(changed, 10.0).await?;
        pods.order("/faults", &json!({"readiness": "never"})).await?;
        let down = release.story.weight(up.at, 0.0).await?;
        pods.order("/faults", &json!({"readiness": "steady"})).await?;
        let is_settled = |it: &Scene| it.weight > 0.0 || it.phase == "Failed";
        release.story.until("its weight again, or its end", down.at, is_settled).await?;
        let lost: Vec<_> = pods.gone().into_iter().map(|it| (it, it)).collect();
        given_up(&release, traffic, changed, &lost).await?;
        let gone = lost.iter().find(|it| it.0 > up.at).context("its pods were unready")?;
        let after = down.at.saturating_duration_since(gone.0).as_secs_f64();
        say(&format!(
            "{}: weight 0 was seen {after:.1} s after the last ready pod went",
            space.name
        ));
        Ok(())
    })
    .await
}

/// Its process ends again and again, each time after it has become ready.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "what Envoy answers for crashed pods is told apart by time, which a busy machine makes unsure: run it alone"]
async fn a_version_that_crashes_while_it_serves_fails_no_request_once_that_is_known() -> Result<()>
{
    released("crash", async |space| {
        let release = Release::set(space, CANARY).await?;
        let traffic = Traffic::inside(&release, [release.inside(60)]);
        let pods = Pods::follow(space);
        let changed = release.version("v2", &[]).await?;
        tokio::select! {
            failed = release.story.phase(changed, "Failed") => drop(failed?),
            crashed = crash_again_and_again(&release, &pods) => crashed?,
        }
        given_up(&release, traffic, changed, &pods.crashes()).await
    })
    .await
}

async fn crash_again_and_again(release: &Release<'_>, pods: &Pods<'_>) -> Result<()> {
    for crashes in 1..=CRASHES {
        eventually("a weight", async || Ok((release.story.last().weight > 0.0).then_some(())))
            .await?;
        // For a while callers meet it.
        sleep(Duration::from_secs(3)).await;
        pods.order("/crash", &json!({})).await?;
        pods.crashed(2 * crashes).await?;
        pods.ready(2).await?;
    }
    Ok(())
}

/// Its author goes back, unless the evidence has been quicker.
async fn given_up(
    release: &Release<'_>,
    traffic: Traffic<'_>,
    changed: Instant,
    lost: &[(Instant, Instant)],
) -> Result<()> {
    let space = release.space;
    release.version("v1", &[]).await?;
    let end = release.story.ends(changed, "Failed").await?;
    release.scaled("shop", 0).await?;
    let counted = traffic.stop().await?;
    say(&format!("{}:\n{}", space.name, release.story.told(changed)));
    counted.only_the_app_failed_but_within(lost)?;
    say(&format!(
        "{}: {} requests, {} to the canary; over {:.1} s after the change",
        space.name,
        counted.sent(),
        counted.by("v2"),
        (end.at - changed).as_secs_f64(),
    ));
    ensure!(counted.by("v2") > 0, "nobody met it");
    ensure!(release.story.weights(changed).iter().all(|it| *it <= 10.0), "its weight has risen");
    ensure!(release.replicas("shop-primary").await? == 2, "primary has lost pods");
    Ok(())
}
