//! A newer version that comes while one is on trial.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result, ensure};
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
  analysis: {interval: 10s, threshold: 3, stepWeights: [20, 60]}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_version_takes_the_place_of_one_that_is_on_trial() -> Result<()> {
    released("again", takes_its_place).await
}

async fn takes_its_place(space: &Space) -> Result<()> {
    let release = Release::set(space, CANARY).await?;
    let traffic = Traffic::inside(&release, [release.inside(60)]);
    let first = release.version("v2", &[]).await?;
    release.story.weight(first, 20.0).await?;
    // For a while callers meet it.
    sleep(Duration::from_secs(3)).await;
    let second = release.version("v3", &[]).await?;
    release.story.weight(second, 0.0).await?;
    let sixty = release.story.weight(second, 60.0).await?;
    let end = release.story.ends(second, "Succeeded").await?;
    release.scaled("shop", 0).await?;
    let counted = traffic.stop().await?;
    say(&format!("{}:\n{}", space.name, release.story.told(first)));
    counted.only_the_app_failed()?;
    let (_, last) = counted.span("v2").context("the first version has answered")?;
    ensure!(last < sixty.at, "the version that was replaced still answered at 60 %");
    let (began, _) = counted.span("v3").context("the second version has answered")?;
    say(&format!(
        "{}: {} requests, {} to the first version, {} to the second; first met {:.1} s after its change, promoted after {:.1} s",
        space.name,
        counted.sent(),
        counted.by("v2"),
        counted.by("v3"),
        (began - second).as_secs_f64(),
        (end.at - second).as_secs_f64(),
    ));
    let runs = release.story.all().into_iter().filter(|it| it.scene.weight > 0.0);
    let runs: BTreeSet<_> = runs.map(|it| it.scene.run).collect();
    ensure!(runs.len() == 2, "each version has a run of its own, not {runs:?}");
    let weights = release.story.weights(first);
    ensure!(weights.starts_with(&[0.0, 20.0, 0.0, 20.0, 60.0]), "weights were {weights:?}");
    Ok(())
}
