//! Who serves a request, in sidecars and at the ingress gateway, by routes of our own and by delegated ones.

use std::{collections::BTreeMap, net::SocketAddr, time::Instant};

use anyhow::{Result, ensure};
use serin_e2e::{chance::sigmas, table};
use serin_e2e_apps::load::Outcome;
use serin_e2e_mesh::{
    apply::fill,
    envoy,
    load::{Order, by},
    plugin::{Plugin, rollout},
    say,
    space::{Reliance, Space, in_space},
    stage::{self, Binding, Stage},
};
use serin_route::{Kind, Rollout, TRACK_HEADER, Track, route_name};
use tokio::try_join;

/// Requests of each rollout at each weight, at least.
const REQUESTS: u64 = 10_000;
/// They are sent in pieces, as many as it takes: a machine that is busy sends fewer in each.
const PIECE: u64 = 5_000;
const RPS: u32 = 2_000;
/// As many at once as keep a small machine busy, and not more: none shall wait for long.
const AT_ONCE: u32 = 16;

/// Requests that were answered with success.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    primary: u64,
    canary: u64,
}

impl Sent {
    fn all(self) -> u64 {
        self.primary + self.canary
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_canary_gets_its_share_of_10_000_requests_everywhere_and_no_more_by_a_forged_header()
-> Result<()> {
    in_space("steering", Reliance::Mesh, everywhere).await
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
    // Its load takes all of a small machine: beside it, other tests would find the machine too slow.
    space.alone(async || weights(&stage, &at_gateway, vms).await).await
}

async fn weights(stage: &Stage<'_>, at_gateway: &Plugin, vms: usize) -> Result<()> {
    let space = stage.space;
    let (gateway, _forward) = space.mesh.gateway().await?;
    let mut counted = BTreeMap::<_, Sent>::new();
    for (generation, percent) in [(1, 1), (2, 30), (3, 70)] {
        let of = |name| rollout(space, name, generation, percent);
        stage.apply(&[of("shop"), of("cart")]).await?;
        let (rollouts, since) = ([of("site"), of("blog")], Instant::now());
        at_gateway.put(space, &rollouts).await?;
        stage.reports.acknowledged(&rollouts, vms, since).await?;
        let began = Instant::now();
        let sent = at_both(stage, gateway).await?;
        say(&format!("{percent} %: sent in {:.0} s", began.elapsed().as_secs_f64()));
        for (name, sent) in sent {
            check(stage, &of(name), sent, counted.entry(name).or_default()).await?;
        }
    }
    forged(stage, gateway).await
}

/// Who knows the nonce gets no more of the canary than others do.
async fn forged(stage: &Stage<'_>, gateway: SocketAddr) -> Result<()> {
    let forge = |order: Order, name| order.header(TRACK_HEADER, &table::nonce(name));
    let inside = forge(Order::of("http://shop/", 200, 5), "shop");
    let outside = Order::of(&format!("http://{gateway}/"), 200, 5).host(&host(stage.space, "site"));
    let outside = forge(outside, "site");
    let (inside, outside) = try_join!(stage.load.run(&inside), outside.run_here())?;
    for (name, outcome) in [("shop", inside), ("site", outside)] {
        let off = sigmas(by(&outcome, "canary")?, outcome.sent, 0.7);
        say(&format!("{name} at 70 % by {} forged requests: {off:.1} sigma off", outcome.sent));
        ensure!(off < 4.0, "{name}: {outcome:#?} is {off:.1} sigma off");
    }
    Ok(())
}

/// Sends to all four at once.
async fn at_both(stage: &Stage<'_>, gateway: SocketAddr) -> Result<[(&'static str, Sent); 4]> {
    let inside = |name| Order::of(&format!("http://{name}/"), RPS, 1).at_once(AT_ONCE);
    let outside = |name| {
        let order = Order::of(&format!("http://{gateway}/"), RPS, 1).at_once(AT_ONCE);
        order.host(&host(stage.space, name))
    };
    let (shop, cart) = (inside("shop"), inside("cart"));
    let (site, blog) = (outside("site"), outside("blog"));
    let (shop, cart, site, blog) = try_join!(
        enough(shop, async |piece| stage.load.run(&piece).await),
        enough(cart, async |piece| stage.load.run(&piece).await),
        enough(site, async |piece| piece.run_here().await),
        enough(blog, async |piece| piece.run_here().await),
    )?;
    Ok([("shop", shop), ("cart", cart), ("site", site), ("blog", blog)])
}

/// Sends until it is enough. An error if any request was not answered with success.
async fn enough(order: Order, run: impl AsyncFn(Order) -> Result<Outcome>) -> Result<Sent> {
    let mut sent = Sent::default();
    while sent.all() < REQUESTS {
        let piece = PIECE.min(REQUESTS - sent.all());
        let outcome = run(order.clone().requests(piece)).await?;
        let before = sent.all();
        sent.primary += by(&outcome, "primary")?;
        sent.canary += by(&outcome, "canary")?;
        ensure!(sent.all() == before + outcome.sent, "someone else answered: {outcome:#?}");
    }
    Ok(sent)
}

/// The share is the weight's, and what the filter reported is what came.
async fn check(stage: &Stage<'_>, rollout: &Rollout, sent: Sent, before: &mut Sent) -> Result<()> {
    let Rollout { name, run, .. } = rollout;
    let share = rollout.weight.fraction();
    let off = sigmas(sent.canary, sent.all(), share);
    let percent = share * 100.0;
    say(&format!("{name} at {percent:>2.0} %: {sent:?}, {off:.1} sigma off"));
    ensure!(off < 4.0, "{name} at {percent} %: {sent:?} is {off:.1} sigma off");
    before.primary += sent.primary;
    before.canary += sent.canary;
    let all = before.all();
    let totals = stage
        .reports
        .settled("every request to be reported", |it| it.all(run).requests >= all)
        .await?;
    let (primary, canary) = (totals.track(run, Track::Primary), totals.track(run, Track::Canary));
    let agree = (primary.requests, canary.requests) == (before.primary, before.canary);
    ensure!(agree, "{name}: {before:?} were sent, {primary:?} and {canary:?} reported");
    ensure!(totals.mismatched(run) == 0 && totals.all(run).failures == 0, "{totals:#?}");
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
