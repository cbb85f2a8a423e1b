//! A part of the mesh that is away for a while. These tests come last, by their name, for they wait until no other runs.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serin_e2e::{chance::sigmas, totals::Totals};
use serin_e2e_mesh::{
    absence::without,
    left_out,
    load::{Load, Order, by},
    mesh::Mesh,
    plugin::rollout,
    space::{Reliance, Space, in_space},
    stage::{self, Stage},
};
use tokio::time::sleep;

const ABSENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn without_istiod_the_filter_goes_on() -> Result<()> {
    in_space("istiod", Reliance::Mesh, async |space| {
        stage::shop(space).await?;
        let stage = Stage::set(space).await?;
        stage.apply(&[rollout(space, "shop", 1, 50)]).await?;
        space.alone(async || half_a_minute(space, &stage).await).await
    })
    .await
}

async fn half_a_minute(space: &Space, stage: &Stage<'_>) -> Result<()> {
    let load = stage.load.begin(Order::of("http://shop/", 100, 300));
    let istio = &space.mesh.settings.istio_namespace;
    without(&space.mesh, istio, "istiod", async || absence(space, stage).await).await?;
    let outcome = load.stop().await?;
    let off = sigmas(by(&outcome, "canary")?, outcome.sent, 0.5);
    ensure!(off < 4.0, "{outcome:#?} is {off:.1} sigma off");
    let all = |sent| move |it: &Totals| it.all("shop-1").requests >= sent;
    let totals = stage.reports.settled("every request", all(outcome.sent)).await?;
    ensure!(totals.all("shop-1").requests == outcome.sent, "{totals:#?}");
    // What is written now arrives.
    stage.apply(&[rollout(space, "shop", 2, 0)]).await
}

/// Traffic and reports go on all the time; a change waits.
async fn absence(space: &Space, stage: &Stage<'_>) -> Result<()> {
    let began = Instant::now();
    let mut counted = stage.reports.totals().all("shop-1").requests;
    while began.elapsed() < ABSENCE {
        let since = Instant::now();
        sleep(Duration::from_secs(5)).await;
        let heard: usize = stage.reports.heard(since).values().map(BTreeSet::len).sum();
        ensure!(heard == stage.vms, "{heard} of {} VMs reported", stage.vms);
        let now = stage.reports.totals().all("shop-1").requests;
        ensure!(now > counted + 100, "{counted} requests reported, and 5 s later {now}");
        counted = now;
    }
    space
        .mesh
        .pod(&space.mesh.settings.istio_namespace, "app=istiod")
        .await
        .map_or(Ok(()), |pod| anyhow::bail!("{pod} was there all the time"))
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_registry_filters_that_run_go_on_and_new_pods_go_to_primary() -> Result<()> {
    let Some(place) = Mesh::connect().await?.settings.registry_deployment else {
        left_out("registry", "SERIN_REGISTRY_DEPLOYMENT does not name one that may be stopped");
        return Ok(());
    };
    in_space("registry", Reliance::Mesh, async |space| {
        stage::shop(space).await?;
        let stage = Stage::set(space).await?;
        stage.apply(&[rollout(space, "shop", 1, 50)]).await?;
        space.alone(async || no_registry(space, &stage, (&place.0, &place.1)).await).await
    })
    .await
}

async fn no_registry(space: &Space, stage: &Stage<'_>, place: (&str, &str)) -> Result<()> {
    let without = without(&space.mesh, place.0, place.1, async || {
        // Who has the module needs the registry no more, whatever the table says.
        stage.apply(&[rollout(space, "shop", 2, 100)]).await?;
        let outcome = stage.load.run(&Order::of("http://shop/", 100, 2)).await?;
        ensure!(by(&outcome, "canary")? == outcome.sent, "{outcome:#?}");
        stage::restart(&space.mesh, &space.name, "load").await?;
        stage::ready(&space.mesh, &space.name).await?;
        let load = Load::of(&space.mesh, &space.name).await?;
        let outcome = load.run(&Order::of("http://shop/", 100, 5)).await?;
        ensure!(by(&outcome, "primary")? == outcome.sent, "{outcome:#?}");
        Ok(load)
    });
    let load = without.await?;
    // What was in the registry may have gone with it. The agent tries again with the next change.
    space.mesh.settings.filter().await?;
    stage.apply(&[rollout(space, "shop", 3, 100)]).await?;
    let outcome = load.run(&Order::of("http://shop/", 100, 2)).await?;
    ensure!(by(&outcome, "canary")? == outcome.sent, "{outcome:#?}");
    Ok(())
}
