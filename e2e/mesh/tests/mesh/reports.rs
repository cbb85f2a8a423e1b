//! Reports through the mesh's own mutual TLS, and whether they say what came.

use anyhow::{Context, Result, ensure};
use serin_e2e_mesh::{
    load::Order,
    plugin::rollout,
    space::{Reliance, Space, in_space},
    stage::{self, Stage},
};
use serin_route::{Assignment, Track};
use tokio::try_join;

#[tokio::test(flavor = "multi_thread")]
async fn reports_pass_strict_mtls_and_agree_with_the_load() -> Result<()> {
    in_space("reports", Reliance::Mesh, async |space| {
        space.apply(include_str!("../../manifests/strict.yaml")).await?;
        stage::shop(space).await?;
        let stage = Stage::set(space).await?;
        stage.apply(&[rollout(space, "shop", 1, 30)]).await?;
        let good = Order::of("http://shop/good", 200, 10);
        let bad = Order::of("http://shop/bad", 50, 10).header("x-fault-status", "500");
        let (good, bad) = try_join!(stage.load.run(&good), stage.load.run(&bad))?;
        let all = good.sent + bad.sent;
        ensure!(all > 100 && good.status.get(&200) == Some(&good.sent), "{good:#?}");
        ensure!(
            bad.status.get(&500) == Some(&bad.sent) && bad.failures.app == bad.sent,
            "{bad:#?}"
        );
        let totals =
            stage.reports.settled("every request", |it| it.all("shop-1").requests >= all).await?;
        for (track, version) in [(Track::Primary, "primary"), (Track::Canary, "canary")] {
            let sent = [&good, &bad].map(|it| it.versions.get(version).copied().unwrap_or(0));
            let sum = totals.track("shop-1", track);
            ensure!(sum.requests == sent[0] + sent[1], "{version}: {sent:?} sent, {sum:?}");
            ensure!(sum.failures == sent[1], "{version}: {sent:?} sent, {sum:?}");
        }
        ensure!(totals.assigned("shop-1", Assignment::Weight).requests == all, "{totals:#?}");
        ensure!(totals.mismatched("shop-1") == 0, "{totals:#?}");
        peers(space, &stage)
    })
    .await
}

/// Every report came with a certificate of this namespace.
fn peers(space: &Space, stage: &Stage<'_>) -> Result<()> {
    let received = stage.reports.received();
    ensure!(!received.is_empty(), "no report came");
    for report in received {
        let peer = report.peer.context("a report came without a certificate")?;
        let identity = format!("/ns/{}/sa/", space.name);
        ensure!(peer.contains("URI=spiffe://") && peer.contains(&identity), "{peer}");
        ensure!(report.report.namespace == space.name, "{:?}", report.report);
    }
    Ok(())
}
