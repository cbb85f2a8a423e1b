//! An autoscaler hears of a pod's CPU, as Flagger's and our canaries' do.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use serin_e2e_mesh::{
    apply::fill,
    eventually,
    forward::Forward,
    left_out,
    load::{Order, faultless},
    mesh::Mesh,
    say,
    space::{Reliance, Space, in_space},
    stage,
};
use tokio::select;

/// Two scrapes of the new pod, 15 s apart where nobody changed it, and the autoscaler's own period of as much.
const BOUND: Duration = Duration::from_secs(75);

#[tokio::test(flavor = "multi_thread")]
async fn an_autoscaler_sees_a_load_and_adds_a_pod() -> Result<()> {
    if !Mesh::connect().await?.serves("metrics.k8s.io").await? {
        left_out(
            "autoscaler",
            "the cluster does not serve metrics.k8s.io: it has no metrics-server",
        );
        return Ok(());
    }
    in_space("autoscaler", Reliance::Kubernetes, async |space| {
        let image = ("image", &*space.mesh.settings.images.faulty);
        space.apply(&fill(include_str!("../../manifests/busy.yaml"), &[image])?).await?;
        stage::ready(&space.mesh, &space.name).await?;
        let pod = space.mesh.pod(&space.name, "app=busy").await?;
        let forward = Forward::start(&space.mesh.client, &space.name, &pod, 8080).await?;
        let load = Order::of(&format!("http://{}/", forward.address()), 200, 300);
        let began = Instant::now();
        let seen = select! {
            load = load.run_here() => return faultless(&load?).context("the load ended first"),
            seen = scaled(space) => seen?,
        };
        let took = began.elapsed();
        say(&format!("autoscaler: saw {seen} % of the request and added a pod after {took:.1?}"));
        ensure!(took < BOUND, "the autoscaler took {took:.1?}");
        stage::ready(&space.mesh, &space.name).await
    })
    .await
}

/// Waits until the autoscaler wants two pods; the share of its request that it saw the one use.
async fn scaled(space: &Space) -> Result<i32> {
    let autoscalers = space.mesh.api::<HorizontalPodAutoscaler>(&space.name);
    eventually("the autoscaler to add a pod", async || {
        let status = autoscalers.get("busy").await?.status.context("it has not looked yet")?;
        let metrics = status.current_metrics.iter().flatten();
        let seen = metrics.filter_map(|it| it.resource.as_ref()?.current.average_utilization);
        let seen = seen.max().with_context(|| format!("no metric: {:?}", status.conditions))?;
        Ok((status.desired_replicas == 2).then_some(seen))
    })
    .await
}
