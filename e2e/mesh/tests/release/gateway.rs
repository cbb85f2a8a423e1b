//! A release that callers meet at the ingress gateway and between sidecars, each with the share that the weight says.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use serde_json::json;
use serin_e2e::chance::sigmas;
use serin_e2e_mesh::{
    eventually,
    load::{Order, by, faultless},
    release::{APP, FLAGGER, Release, Traffic, released, released_as_flaggers},
    say,
    space::Space,
};
use tokio::try_join;

/// Requests of which a share is taken.
const REQUESTS: u64 = 600;

#[tokio::test(flavor = "multi_thread")]
async fn every_share_is_the_weights_at_the_gateway_and_between_sidecars() -> Result<()> {
    released("gateway", async |space| at_both(space, "serin.dev").await).await
}

/// Where callers without a filter would get their share too, by routes that the mesh weighs itself.
#[tokio::test(flavor = "multi_thread")]
async fn every_share_is_the_weights_for_a_canary_of_flaggers_group() -> Result<()> {
    released_as_flaggers("flagger", async |space| at_both(space, FLAGGER).await).await
}

async fn at_both(space: &Space, group: &str) -> Result<()> {
    let release = Release::set(space, &canary(space, group)).await?;
    let (gateway, _forward) = space.mesh.gateway().await?;
    let outside =
        |rps| Order::of(&format!("http://{gateway}/"), rps, 600).host(&host(space)).patience("60s");
    let probe = Order::of(&format!("http://{gateway}/"), 20, 1).host(&host(space));
    eventually("callers at the gateway to be answered", async || {
        faultless(&probe.run_here().await?)?;
        Ok(Some(()))
    })
    .await?;
    let traffic = Traffic::inside(&release, [release.inside(30)]).and_outside(&outside(30))?;
    let changed = release.version("v2", &[]).await?;
    for (step, percent) in [(1, 20.0), (3, 60.0)] {
        paused(&release, step).await?;
        shares(&release, gateway, percent / 100.0).await?;
        release.edit(json!({"metadata": {"annotations": {"serin.dev/intent": "resume"}}})).await?;
    }
    let end = release.story.ends(changed, "Succeeded").await?;
    release.scaled(APP, 0).await?;
    let counted = traffic.stop().await?;
    say(&format!("{}:\n{}", space.name, release.story.told(changed)));
    counted.only_the_app_failed()?;
    for outcome in &counted.outcomes {
        let both = ["v1", "v2"].iter().all(|it| outcome.versions.contains_key(*it));
        ensure!(both, "not both versions answered: {outcome:#?}");
    }
    say(&format!(
        "{}: {} requests, {} to the new version; promoted {:.1} s after the change",
        space.name,
        counted.sent(),
        counted.by("v2"),
        (end.at - changed).as_secs_f64(),
    ));
    Ok(())
}

/// Waits until the schedule stands still at a step: what the step before has set is in force.
async fn paused(release: &Release<'_>, step: u64) -> Result<()> {
    eventually(&format!("a pause at step {step}"), async || {
        let canary = release.canaries().get(APP).await?;
        let run = &canary.data["status"]["serin"]["rollout"]["run"];
        let is_there = run["step"] == json!(step) && run["entered"] == json!(true);
        ensure!(is_there, "{}", canary.data["status"]);
        Ok(Some(()))
    })
    .await
}

/// Asks at both places, while others do too.
async fn shares(release: &Release<'_>, gateway: SocketAddr, share: f64) -> Result<()> {
    let space = release.space;
    let inside = release.inside(100).requests(REQUESTS);
    let outside =
        Order::of(&format!("http://{gateway}/"), 100, 1).host(&host(space)).patience("60s");
    let outside = outside.requests(REQUESTS);
    let (inside, outside) = try_join!(release.load.run(&inside), outside.run_here())?;
    for (place, outcome) in [("sidecars", inside), ("the gateway", outside)] {
        let canary = by(&outcome, "v2")?;
        let off = sigmas(canary, outcome.sent, share);
        say(&format!(
            "{}: {canary} of {} at {place} with a weight of {share}: {off:.1} sigma off",
            space.name, outcome.sent,
        ));
        ensure!(off < 4.5, "{share} at {place}: {outcome:#?} is {off:.1} sigma off");
    }
    Ok(())
}

fn canary(space: &Space, group: &str) -> String {
    let (key, value) = &space.mesh.settings.gateway_label;
    let host = host(space);
    format!(
        "\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: public}}
spec:
  selector: {{{key}: {value}}}
  servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: [{host}]}}]
---
apiVersion: {group}/v1beta1
kind: Canary
metadata: {{name: {APP}}}
spec:
  targetRef: {{apiVersion: apps/v1, kind: Deployment, name: {APP}}}
  service:
    port: 80
    targetPort: 8080
    hosts: [{host}]
    gateways: [public, mesh]
  analysis:
    interval: 5s
    threshold: 3
    steps: [{{setWeight: 20}}, {{pause: {{}}}}, {{setWeight: 60}}, {{pause: {{}}}}]
"
    )
}

/// A host that no other test has.
fn host(space: &Space) -> String {
    format!("shop.{}.test", space.name)
}
