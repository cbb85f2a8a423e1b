//! Half a minute without istiod.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serin_e2e::chance::sigmas;
use serin_e2e_mesh::{
    absence::without,
    load::{Order, by},
    plugin::rollout,
    space::{Company, Space, in_space},
    stage::{self, Stage},
};
use tokio::time::sleep;

const ABSENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn without_istiod_the_filter_goes_on() -> Result<()> {
    in_space("istiod", Company::None, async |space| {
        stage::shop(space).await?;
        let stage = Stage::set(space).await?;
        stage.apply(&[rollout(space, "shop", 1, 50)]).await?;
        let load = stage.load.begin(Order::of("http://shop/", 100, 300));
        let istio = &space.mesh.settings.istio_namespace;
        without(&space.mesh, istio, "istiod", async || absence(space, &stage).await).await?;
        let outcome = load.stop().await?;
        let off = sigmas(by(&outcome, "canary")?, outcome.sent, 0.5);
        ensure!(off < 4.0, "{outcome:#?} is {off:.1} sigma off");
        let all = |sent| move |it: &serin_e2e::totals::Totals| it.all("shop-1").requests >= sent;
        let totals = stage.reports.settled("every request", all(outcome.sent)).await?;
        ensure!(totals.all("shop-1").requests == outcome.sent, "{totals:#?}");
        // What is written now arrives.
        stage.apply(&[rollout(space, "shop", 2, 0)]).await
    })
    .await
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
