//! A namespace whose `Sidecar` hides the receiver's service: requests do not care, and a person is told.

use std::time::Instant;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, LogParams},
};
use serin_e2e::chance::sigmas;
use serin_e2e_mesh::{
    apply::{fill, resource},
    envoy, eventually,
    load::{Order, by},
    plugin::{Plugin, rollout},
    say,
    space::{Reliance, Space, in_space},
    stage::{self, Stage},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_that_hides_the_receiver_is_named_and_hurts_no_request() -> Result<()> {
    in_space("hidden", Reliance::Mesh, async |space| {
        let elsewhere = space.another("serin").await?;
        let istio = &*space.mesh.settings.istio_namespace;
        let sidecar = fill(include_str!("../../manifests/sidecar.yaml"), &[("istio", istio)])?;
        space.apply(&sidecar).await?;
        stage::shop(space).await?;
        stage::receiver(space, &elsewhere).await?;
        let plugin = Plugin { receiver: elsewhere, ..Plugin::of_sidecars(space).await? };
        let rollouts = [rollout(space, "shop", 1, 50)];
        plugin.put(space, &rollouts).await?;
        let stage = Stage::with(space, plugin).await?;

        let outcome = stage.load.run(&Order::of("http://shop/", 100, 10)).await?;
        let off = sigmas(by(&outcome, "canary")?, outcome.sent, 0.5);
        ensure!(off < 4.0, "{outcome:#?} is {off:.1} sigma off");
        ensure!(stage.reports.received().is_empty(), "the receiver is not hidden");
        told(space, &stage).await?;

        // Nothing else needs to be done once it can be seen.
        let (sidecars, since): (ApiResource, _) =
            (resource("networking.istio.io/v1", "Sidecar"), Instant::now());
        let sidecars: Api<DynamicObject> =
            Api::namespaced_with(space.mesh.client.clone(), &space.name, &sidecars);
        sidecars.delete("default", &DeleteParams::default()).await?;
        stage.reports.acknowledged(&rollouts, stage.vms, since).await?;
        let all = |it: &serin_e2e::totals::Totals| it.all("shop-1").requests == outcome.sent;
        stage.reports.settled("what was counted meanwhile", all).await.map(drop)
    })
    .await
}

/// The sidecar's log names the cluster and the likely cause, once for each thread; the failures are counted.
async fn told(space: &Space, stage: &Stage<'_>) -> Result<()> {
    let pod = space.mesh.pod(&space.name, "app=load").await?;
    let pods: Api<Pod> = space.mesh.api(&space.name);
    let sidecar = LogParams { container: Some("istio-proxy".to_owned()), ..LogParams::default() };
    let lines = eventually("the filter to say that it cannot report", async || {
        let log = pods.logs(&pod, &sidecar).await?;
        let told: Vec<_> =
            log.lines().filter(|it| it.contains("serin: ")).map(str::to_owned).collect();
        Ok((!told.is_empty()).then_some(told))
    })
    .await?;
    say(&format!("what a person reads: {}", lines[0]));
    ensure!(lines.iter().all(|it| it.contains(&stage.plugin.cluster()) && it.contains("Sidecar")));
    // Many reports later it has said no more.
    let vms = envoy::vms(&space.mesh, &space.name, &pod).await?;
    eventually("every VM to have failed to report ten times", async || {
        let name = "serin_reports_failed_total";
        let failed = envoy::metrics(&space.mesh, &space.name, &pod, name).await?;
        let counts = failed.iter().filter_map(|it| it.rsplit(' ').next()?.parse::<usize>().ok());
        let all: usize = counts.sum();
        ensure!(all >= 10 * vms, "{all} failures: {failed:?}");
        Ok(Some(()))
    })
    .await?;
    let log = pods.logs(&pod, &sidecar).await?;
    let later = log.lines().filter(|it| it.contains("serin: ")).count();
    ensure!(later <= vms, "{later} lines of {vms} VMs: {log}");
    Ok(())
}
