//! Pods that come and go while weights change.

use std::{cell::Cell, collections::BTreeSet, time::Instant};

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::DeleteParams};
use serin_e2e::{chance::sigmas, totals::Totals};
use serin_e2e_apps::load::Outcome;
use serin_e2e_mesh::{
    accesslog, envoy, eventually,
    load::Order,
    plugin::rollout,
    say,
    space::{Reliance, Space, in_space},
    stage::{self, Stage},
};
use tokio::select;

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
        let steps_shown = Cell::new(0);
        select! {
            stepped = steps(space, &stage, &steps_shown) => stepped?,
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
        drawn_by_their_weight(&totals, steps_shown.get())
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

/// Another weight as soon as the caller's sidecar has shown the last one, without end.
async fn steps(space: &Space, stage: &Stage<'_>, shown: &Cell<u32>) -> Result<()> {
    let pod = space.mesh.pod(&space.name, "app=load").await?;
    let vms = envoy::vms(&space.mesh, &space.name, &pod).await?;
    for generation in 2.. {
        let since = Instant::now();
        let next = rollout(space, "shop", generation, percent(generation));
        stage.plugin.put(space, &[next]).await?;
        eventually(&format!("{vms} VMs of {pod} to show generation {generation}"), async || {
            let showing = showing(stage, &pod, generation, since);
            ensure!(showing >= vms, "only {showing} have");
            Ok(Some(()))
        })
        .await?;
        shown.set(shown.get() + 1);
    }
    Ok(())
}

/// The weight of a generation: the stage's own first, then from 10 to 80 again and again.
fn percent(generation: u64) -> u8 {
    let weights: Vec<u8> = (10..=80).step_by(7).collect();
    let step = usize::try_from(generation.saturating_sub(2)).unwrap_or_default();
    weights[step % weights.len()]
}

/// VMs of a pod's sidecar that have shown a generation since then.
fn showing(stage: &Stage<'_>, pod: &str, generation: u64, since: Instant) -> usize {
    let sidecar = format!("~{pod}.");
    let received = stage.reports.received();
    let of_pod = received.iter().filter(|it| it.at >= since && it.report.proxy.contains(&sidecar));
    let showing = of_pod.filter(|it| {
        it.report.problem.is_none()
            && it.report.rollouts.iter().any(|shown| shown.generation == generation)
    });
    showing.map(|it| &it.report.boot).collect::<BTreeSet<_>>().len()
}

/// Whatever pods came and went, each request was drawn by the weight of the generation that counts it.
fn drawn_by_their_weight(totals: &Totals, steps: u32) -> Result<()> {
    let shares = totals.by_weight("shop-1", percent);
    say(&format!("churn: {steps} weights shown by every VM; (canary, all) by weight: {shares:?}"));
    ensure!(shares.len() > 1 && steps > 1, "the weight did not change");
    for (weight, (canary, all)) in shares.into_iter().filter(|(_, (_, all))| *all > 0) {
        let off = sigmas(canary, all, f64::from(weight) / 100.0);
        ensure!(off < 4.5, "{canary} of {all} at {weight} % is {off:.1} sigma off");
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
