//! Pods that come and go while weights change.

use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::DeleteParams};
use serin_e2e_mesh::{
    load::Order,
    plugin::rollout,
    say,
    space::{Company, Space, in_space},
    stage::{self, Stage},
};
use tokio::{time::sleep, try_join};

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_pods_come_and_go() -> Result<()> {
    in_space("churn", Company::Any, async |space| {
        stage::shop(space).await?;
        let stage = Stage::set(space).await?;
        stage.apply(&[rollout(space, "shop", 1, 10)]).await?;
        let load = stage.load.begin(Order::of("http://shop/", 100, 300));
        try_join!(steps(space, &stage), pods(space))?;
        stage::ready(&space.mesh, &space.name).await?;
        let outcome = load.stop().await?;
        say(&format!(
            "churn: {} requests by {:?}, {} answers of 503 by Envoy itself",
            outcome.sent, outcome.versions, outcome.failures.envoy,
        ));
        let failures = outcome.failures;
        ensure!(failures.app + failures.unmarked + failures.transport == 0, "{outcome:#?}");
        ensure!(outcome.status.keys().all(|it| [200, 503].contains(it)), "{outcome:#?}");
        ensure!(outcome.answered == outcome.sent, "{outcome:#?}");
        // The caller's sidecar outlived them all: it counted every request, whoever served it.
        let totals = stage
            .reports
            .settled("every request", |it| it.all("shop-1").requests >= outcome.sent)
            .await?;
        let all = totals.all("shop-1");
        ensure!((all.requests, all.failures) == (outcome.sent, failures.envoy), "{all:?}");
        Ok(())
    })
    .await
}

/// Another weight each second.
async fn steps(space: &Space, stage: &Stage<'_>) -> Result<()> {
    for generation in 2..=20_u8 {
        stage
            .plugin
            .put(space, &[rollout(space, "shop", generation.into(), generation * 4)])
            .await?;
        sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

/// More pods, other pods, fewer pods, a pod that is deleted.
async fn pods(space: &Space) -> Result<()> {
    let (mesh, namespace) = (&space.mesh, &*space.name);
    stage::scale(mesh, namespace, "shop-canary", 2).await?;
    stage::restart(mesh, namespace, "shop-primary").await?;
    stage::ready(mesh, namespace).await?;
    let pods: Api<Pod> = mesh.api(namespace);
    let pod = mesh.pod(namespace, "app=shop-canary").await?;
    pods.delete(&pod, &DeleteParams::default()).await?;
    sleep(Duration::from_secs(2)).await;
    stage::ready(mesh, namespace).await?;
    stage::scale(mesh, namespace, "shop-canary", 1).await?;
    stage::ready(mesh, namespace).await
}
