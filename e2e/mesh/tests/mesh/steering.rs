//! Who serves a request, in sidecars and at the ingress gateway, by routes of our own and by delegated ones.

use std::time::Instant;

use anyhow::{Result, ensure};
use serin_e2e::{chance::sigmas, table};
use serin_e2e_apps::load::Outcome;
use serin_e2e_mesh::{
    apply::fill,
    envoy,
    load::{Order, by},
    plugin::{Plugin, rollout},
    say,
    space::{Company, Space, in_space},
    stage::{self, Binding, Stage},
};
use serin_route::{Kind, Rollout, Track, route_name};
use tokio::try_join;

/// Requests of each rollout at each weight, and how they are spread.
const REQUESTS: u64 = 10_000;
const RPS: u32 = 400;
const SECONDS: u32 = 25;

#[tokio::test(flavor = "multi_thread")]
async fn the_canary_gets_its_share_of_10_000_requests_everywhere() -> Result<()> {
    in_space("steering", Company::Any, everywhere).await
}

async fn everywhere(space: &Space) -> Result<()> {
    bind(space).await?;
    let stage = Stage::set(space).await?;
    let at_gateway = Plugin::of_gateway(space).await?;
    let istio = &space.mesh.settings.istio_namespace;
    let pod = space.mesh.gateway_pod().await?;
    let vms = envoy::vms(&space.mesh, istio, &pod).await?;
    for name in ["site", "blog"] {
        let canary = route_name(name, &space.name, Kind::Canary);
        envoy::knows(&space.mesh, istio, &pod, &canary).await?;
    }
    let (gateway, _forward) = space.mesh.gateway().await?;
    for (generation, percent) in [(1, 1), (2, 30), (3, 70)] {
        let of = |name| rollout(space, name, generation, percent);
        stage.apply(&[of("shop"), of("cart")]).await?;
        let (rollouts, since) = ([of("site"), of("blog")], Instant::now());
        at_gateway.put(space, &rollouts).await?;
        stage.reports.acknowledged(&rollouts, vms, since).await?;

        let began = Instant::now();
        let inside = |name| Order::of(&format!("http://{name}/"), RPS, SECONDS);
        let outside =
            |name| Order::of(&format!("http://{gateway}/"), RPS, SECONDS).host(&host(space, name));
        let (shop, cart, site, blog) =
            (inside("shop"), inside("cart"), outside("site"), outside("blog"));
        let (shop, cart, site, blog) = try_join!(
            stage.load.run(&shop),
            stage.load.run(&cart),
            site.run_here(),
            blog.run_here(),
        )?;
        say(&format!("{percent} %: 40 000 requests in {:.0} s", began.elapsed().as_secs_f64()));
        for (name, outcome) in [("shop", shop), ("cart", cart), ("site", site), ("blog", blog)] {
            check(&stage, &of(name), &outcome).await?;
        }
    }
    Ok(())
}

/// The share is the weight's, and what the filter reported is what came.
async fn check(stage: &Stage<'_>, rollout: &Rollout, outcome: &Outcome) -> Result<()> {
    let Rollout { name, run, weight, .. } = rollout;
    let share = f64::from(weight.basis_points()) / 10_000.0;
    let canary = by(outcome, "canary")?;
    let off = sigmas(canary, REQUESTS, share);
    say(&format!(
        "{name} at {:>2.0} %: {canary} of {} on canary, {off:.1} sigma off",
        share * 100.0,
        outcome.sent
    ));
    ensure!(outcome.sent == REQUESTS && off < 4.0, "{name}: {outcome:#?} is {off:.1} sigma off");
    ensure!(by(outcome, "primary")? + canary == REQUESTS, "someone else answered: {outcome:#?}");
    let wanted = REQUESTS * rollout.generation;
    let totals = stage
        .reports
        .settled("every request to be reported", |it| it.all(run).requests >= wanted)
        .await?;
    ensure!(totals.all(run).requests == wanted, "{name}: reported {:?}", totals.all(run));
    ensure!(totals.mismatched(run) == 0 && totals.all(run).failures == 0, "{totals:#?}");
    ensure!(totals.track(run, Track::Canary).requests > 0, "{totals:#?}");
    Ok(())
}

/// `shop` and `cart` in the sidecars, `site` and `blog` at the gateway; the second of each is delegated.
async fn bind(space: &Space) -> Result<()> {
    stage::shop(space).await?;
    stage::apex(space, "cart").await?;
    let (hosts, gateways) = (["cart".to_owned()], ["mesh".to_owned()]);
    let binding = Binding { object: "cart", hosts: &hosts, gateways: &gateways };
    stage::delegated(space, "cart", &binding).await?;

    let (key, value) = &space.mesh.settings.gateway_label;
    let selector = serde_json::json!({key: value}).to_string();
    let hosts = ["site", "blog"].map(|name| host(space, name));
    let values = [("selector", &*selector), ("hosts", &serde_json::json!(hosts).to_string())];
    space.apply(&fill(include_str!("../../manifests/gateway.yaml"), &values)?).await?;
    let gateways = [format!("{}/public", space.name)];
    let binding = |object, hosts| Binding { object, hosts, gateways: &gateways };
    stage::routes(space, "site", &binding("site", &hosts[..1])).await?;
    stage::delegated(space, "blog", &binding("blog", &hosts[1..])).await
}

/// A host that no other test has.
fn host(space: &Space, name: &str) -> String {
    format!("{name}.{}.test", space.name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_header_reaches_nobody() -> Result<()> {
    in_space("forged", Company::Any, async |space| {
        stage::shop(space).await?;
        let stage = Stage::set(space).await?;
        stage.apply(&[rollout(space, "shop", 1, 10)]).await?;
        // Who knows the nonce gets no more of the canary than others do.
        let forged = Order::of("http://shop/", 200, 10)
            .header(serin_route::TRACK_HEADER, &table::nonce("shop"));
        let outcome = stage.load.run(&forged).await?;
        let off = sigmas(by(&outcome, "canary")?, outcome.sent, 0.1);
        ensure!(off < 4.0, "{outcome:#?} is {off:.1} sigma off");
        Ok(())
    })
    .await
}
