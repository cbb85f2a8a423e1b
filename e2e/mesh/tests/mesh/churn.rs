//! Pods that come and go while weights change.

use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::DeleteParams};
use serin_e2e_apps::load::Outcome;
use serin_e2e_mesh::{
    accesslog, eventually,
    load::Order,
    plugin::rollout,
    say,
    space::{Reliance, Space, in_space},
    stage::{self, Stage},
};
use tokio::{select, time::sleep};

/// What Envoy says of a request whose pod ended, in the time until it hears of that: no connection (`UF`) or one that
/// was cut (`UC`), also after its retries (`URX`); or the ending pod's own proxy had no app any more.
const ENDED: [&str; 4] = ["UF", "UC", "URX", accesslog::UPSTREAM];
/// Of so many requests one may meet that.
const ONE_OF: u64 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn only_an_ending_pod_fails_a_request_while_pods_and_weights_change() -> Result<()> {
    in_space("churn", Reliance::Mesh, async |space| {
        accesslog::enable(space).await?;
        stage::shop(space).await?;
        let stage = Stage::set(space).await?;
        stage.apply(&[rollout(space, "shop", 1, 10)]).await?;
        let load = stage.load.begin(Order::of("http://shop/", 100, 300));
        select! {
            stepped = steps(space, &stage) => stepped?,
            came_and_went = pods(space) => came_and_went?,
        }
        let outcome = load.stop().await?;
        explained(space, &outcome).await?;
        // The caller's sidecar outlived them all: it counted every request, whoever served it.
        let totals = stage
            .reports
            .settled("every request", |it| it.all("shop-1").requests >= outcome.sent)
            .await?;
        let all = totals.all("shop-1");
        let failed = outcome.failures.envoy;
        ensure!((all.requests, all.failures) == (outcome.sent, failed), "{all:?}: {outcome:#?}");
        Ok(())
    })
    .await
}

/// No request failed but by the end of a pod, and hardly any by that.
async fn explained(space: &Space, outcome: &Outcome) -> Result<()> {
    let failures = outcome.failures;
    ensure!(outcome.answered == outcome.sent, "{outcome:#?}");
    ensure!(failures.app + failures.unmarked + failures.transport == 0, "{outcome:#?}");
    ensure!(outcome.status.keys().all(|it| [200, 503].contains(it)), "{outcome:#?}");
    let pod = space.mesh.pod(&space.name, "app=load").await?;
    let flags = eventually("the sidecar to have logged every failure", async || {
        let flags = accesslog::failures(space, &pod).await?;
        let logged: u64 = flags.values().sum();
        ensure!(logged == failures.envoy, "{} failed, the log has {flags:?}", failures.envoy);
        Ok(Some(flags))
    })
    .await?;
    say(&format!(
        "churn: {} requests by {:?}, of which Envoy failed {}, by flags: {flags:?}",
        outcome.sent, outcome.versions, failures.envoy,
    ));
    let known = flags.keys().flat_map(|it| it.split(',')).all(|it| ENDED.contains(&it));
    ensure!(known, "not by the end of a pod: {flags:?}");
    ensure!(failures.envoy * ONE_OF <= outcome.sent, "{} of {}", failures.envoy, outcome.sent);
    Ok(())
}

/// Another weight each second, without end.
async fn steps(space: &Space, stage: &Stage<'_>) -> Result<()> {
    let weights = (10..=80).step_by(7).cycle();
    for (generation, weight) in (2..).zip(weights) {
        stage.plugin.put(space, &[rollout(space, "shop", generation, weight)]).await?;
        sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

/// More pods, other pods, a pod that is deleted and gone, fewer pods.
async fn pods(space: &Space) -> Result<()> {
    let (mesh, namespace) = (&space.mesh, &*space.name);
    stage::scale(mesh, namespace, "shop-canary", 2).await?;
    stage::restart(mesh, namespace, "shop-primary").await?;
    stage::ready(mesh, namespace).await?;
    let pods: Api<Pod> = mesh.api(namespace);
    let pod = mesh.pod(namespace, "app=shop-canary").await?;
    pods.delete(&pod, &DeleteParams::default()).await?;
    eventually(&format!("{pod} to be gone"), async || {
        Ok(pods.get_metadata_opt(&pod).await?.is_none().then_some(()))
    })
    .await?;
    stage::ready(mesh, namespace).await?;
    stage::scale(mesh, namespace, "shop-canary", 1).await?;
    stage::ready(mesh, namespace).await
}
