//! Versions whose pods come and go while they have traffic.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serin_e2e_mesh::{
    release::{Counted, Pods, Release, Traffic, released},
    say,
    space::Space,
};

const CANARY: &str = "\
apiVersion: serin.dev/v1beta1
kind: Canary
metadata: {name: shop}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
  progressDeadlineSeconds: 30
  service: {port: 80, targetPort: 8080}
  analysis: {interval: 20s, threshold: 3, stepWeights: [10, 50]}
";

/// It serves all the time, but its probes say otherwise for half of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_whose_readiness_flaps_has_weight_only_while_it_is_ready() -> Result<()> {
    released("flapping", flaps).await
}

async fn flaps(space: &Space) -> Result<()> {
    let release = Release::set(space, CANARY).await?;
    let traffic = Traffic::inside(&release, [release.inside(60)]);
    let pods = Pods::follow(space);
    let flapping = [("FAULTY_READINESS", "flap"), ("FAULTY_FLAP", "8s")];
    let changed = release.version("v2", &flapping).await?;
    let up = release.story.weight(changed, 10.0).await?;
    let down = release.story.weight(up.at, 0.0).await?;
    // Whatever is thought of it by now, its author gives it up.
    let reverted = release.version("v1", &[("FAULTY_READINESS", "steady"), ("FAULTY_FLAP", "5s")]);
    reverted.await?;
    release.story.ends(down.at, "Failed").await?;
    release.scaled("shop", 0).await?;
    let counted = traffic.stop().await?;
    say(&format!("{}:\n{}", space.name, release.story.told(changed)));
    counted.only_the_app_failed_but_after(&pods.gone())?;
    let gone = pods.gone().into_iter().find(|it| *it > up.at).context("its pods became unready")?;
    told(space, &counted, gone, down.at);
    ensure!(release.replicas("shop-primary").await? == 2, "primary has lost pods");
    Ok(())
}

/// Its process ends again and again, some time after it has become ready.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_crashes_once_it_serves_comes_back() -> Result<()> {
    released("crash", crashes).await
}

async fn crashes(space: &Space) -> Result<()> {
    let release = Release::set(space, CANARY).await?;
    let traffic = Traffic::inside(&release, [release.inside(60)]);
    let pods = Pods::follow(space);
    let changed = release.version("v2", &[("FAULTY_CRASH_AFTER", "10s")]).await?;
    let up = release.story.weight(changed, 10.0).await?;
    let down = release.story.until("its weight to go", up.at, |it| it.weight < 10.0).await?;
    release.story.ends(changed, "Failed").await?;
    release.scaled("shop", 0).await?;
    let counted = traffic.stop().await?;
    say(&format!("{}:\n{}", space.name, release.story.told(changed)));
    counted.only_the_app_failed_but_within(&pods.crashes())?;
    let (crash, _) = pods.crashes().into_iter().min().context("it has crashed")?;
    told(space, &counted, crash, down.at);
    ensure!(counted.span("v2").is_some(), "nobody met it");
    ensure!(release.story.weights(changed).iter().all(|it| *it <= 10.0), "its weight has risen");
    ensure!(release.replicas("shop-primary").await? == 2, "primary has lost pods");
    Ok(())
}

fn told(space: &Space, counted: &Counted, gone: Instant, down: Instant) {
    say(&format!(
        "{}: {} requests, {} to the canary; weight lowered {:.1} s after its pods went",
        space.name,
        counted.sent(),
        counted.by("v2"),
        down.saturating_duration_since(gone).as_secs_f64(),
    ));
}
