//! Controllers that are killed, at each phase of a release: another takes over, and the release ends as it would have.
//! These tests run alone, for all releases of a cluster have one controller.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use kube::{Api, api::DynamicObject};
use serin_e2e_mesh::{
    apply, eventually,
    release::{APP, Controller, Release, Traffic, released},
    say,
    space::Space,
};

use crate::deletion;

const CANARY: &str = "\
apiVersion: v1
kind: Service
metadata: {name: shop}
spec:
  selector: {app: shop}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: serin.dev/v1beta1
kind: Canary
metadata: {name: shop}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
  service: {port: 80, targetPort: 8080}
  revertOnDeletion: true
  analysis: {interval: 4s, threshold: 3, stepWeights: [10, 40]}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_release_goes_out_whatever_becomes_of_its_controllers() -> Result<()> {
    released("killed", async |space| space.alone(async || goes_out(space).await).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_comes_back_whatever_becomes_of_its_controllers() -> Result<()> {
    released("killed-back", async |space| space.alone(async || comes_back(space).await).await).await
}

async fn goes_out(space: &Space) -> Result<()> {
    let controller = Controller::find(&space.mesh).await?.context("there is one")?;
    let (release, ()) =
        tokio::try_join!(Release::set(space, CANARY), killed_early(space, &controller))?;
    let traffic = Traffic::inside(&release, [release.inside(50)]);
    let changed = release.version("v2", &[]).await?;
    release.story.phase(changed, "Progressing").await?;
    kill(&controller, "Progressing").await?;
    release.story.weight(changed, 10.0).await?;
    kill(&controller, "at 10 %").await?;
    release.story.phase(changed, "Promoting").await?;
    kill(&controller, "Promoting").await?;
    release.story.phase(changed, "Finalising").await?;
    kill(&controller, "Finalising").await?;
    let end = release.story.ends(changed, "Succeeded").await?;
    release.scaled("shop", 0).await?;
    let counted = traffic.stop().await?;
    say(&format!("killed:\n{}", release.story.told(changed)));
    counted.only_the_app_failed()?;
    let weights = release.story.weights(changed);
    ensure!(weights.starts_with(&[0.0, 10.0, 40.0]), "weights were {weights:?}");
    counted.ended("v1", end.at)?;
    Ok(())
}

async fn comes_back(space: &Space) -> Result<()> {
    let controller = Controller::find(&space.mesh).await?.context("there is one")?;
    let release = Release::set(space, CANARY).await?;
    let traffic = Traffic::inside(&release, [release.inside(50)]);
    let changed = release.version("v2", &[("FAULTY_FAIL", "30%")]).await?;
    release.story.weight(changed, 10.0).await?;
    controller.kill_all().await?;
    say("killed-back: both were killed at 10 %");
    release.story.phase(changed, "Failed").await?;
    kill(&controller, "rolling back").await?;
    release.scaled("shop", 0).await?;
    let counted = traffic.stop().await?;
    say(&format!("killed-back:\n{}", release.story.told(changed)));
    counted.only_the_app_failed()?;
    ensure!(release.story.last().phase == "Failed", "it ended as {}", release.story.last().phase);
    ensure!(release.replicas("shop-primary").await? == 2, "primary has lost pods");

    let traffic = Traffic::inside(&release, [release.inside(50)]);
    let (_, ()) = tokio::try_join!(deletion::delete(&release), async {
        release.story.phase(changed, "Terminating").await?;
        kill(&controller, "Terminating").await
    })?;
    traffic.stop().await?.only_the_app_failed()
}

/// Kills the one that leads while primary is made, and waits for the next.
async fn killed_early(space: &Space, controller: &Controller) -> Result<()> {
    let resource = apply::resource("serin.dev/v1beta1", "Canary");
    let canaries: Api<DynamicObject> =
        Api::namespaced_with(space.mesh.client.clone(), &space.name, &resource);
    eventually("the Canary to be initializing", async || {
        let canary = canaries.get_opt(APP).await?;
        let phase = canary.map(|it| it.data["status"]["phase"].clone());
        Ok(phase.filter(|it| it == "Initializing").map(drop))
    })
    .await?;
    kill(controller, "Initializing").await
}

/// Kills the one that leads, and waits until there are two again.
async fn kill(controller: &Controller, when: &str) -> Result<()> {
    let began = Instant::now();
    let killed = controller.kill_leader().await?;
    let next = eventually("another to lead", async || {
        let next = controller.leader().await?;
        Ok((next != killed).then_some(next))
    })
    .await?;
    controller.ready().await?;
    say(&format!(
        "{killed} killed {when}; {next} led {:.1} s later",
        began.elapsed().as_secs_f64()
    ));
    Ok(())
}
