//! The two queries of the gitops-istio recipe, asked of a Prometheus that scrapes the mesh, and what the load says.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use serin_e2e::client::{Ask, Client};
use serin_e2e_apps::load::Outcome;
use serin_e2e_mesh::{
    eventually,
    forward::Forward,
    load::Order,
    plugin::rollout,
    prometheus::Prometheus,
    say,
    space::{Company, Space, in_space},
    stage::{self, Stage},
};
use tokio::try_join;

const INTERVAL: &str = "1m";

/// Flagger's error rate, as the recipe's `MetricTemplate` has it.
const SUCCESS: &str = include_str!("../../queries/success.promql");
/// Flagger's latency.
const P99: &str = include_str!("../../queries/latency.promql");
/// All requests since the pods' start.
const COUNT: &str = include_str!("../../queries/count.promql");

#[tokio::test(flavor = "multi_thread")]
async fn flaggers_queries_agree_with_the_load() -> Result<()> {
    in_space("prometheus", Company::Any, async |space| {
        let Some(place) = &space.mesh.settings.prometheus else {
            say("left out: Prometheus's answers, for SERIN_PROMETHEUS is not set");
            return Ok(());
        };
        let prometheus = Prometheus::at(place).await?;
        stand_in(space).await?;
        stage::shop(space).await?;
        let stage = Stage::set(space).await?;
        faults(space).await?;
        stage.apply(&[rollout(space, "shop", 1, 50)]).await?;
        let quick = Order::of("http://shop/", 90, 30);
        let slow = Order::of("http://shop/", 10, 30).header("x-fault-delay", "300ms");
        let (quick, slow) = try_join!(stage.load.run(&quick), stage.load.run(&slow))?;
        for target in ["shop-primary", "shop-canary"] {
            agree(space, &prometheus, target, [&quick, &slow]).await?;
        }
        Ok(())
    })
    .await
}

/// What one track's Prometheus series say, and what the load got from it.
async fn agree(
    space: &Space,
    prometheus: &Prometheus,
    target: &str,
    loads: [&Outcome; 2],
) -> Result<()> {
    let version = target.trim_start_matches("shop-");
    let [quick, slow] = loads.map(|it| it.versions.get(version).copied().unwrap_or(0));
    let query = |template: &str| {
        let filled = template.replace("{{ namespace }}", &space.name);
        filled.replace("{{ target }}", target).replace("{{ interval }}", INTERVAL)
    };
    eventually(&format!("Prometheus to count {} requests of {target}", quick + slow), async || {
        let count = prometheus.ask(&query(COUNT)).await?;
        ensure!(count == Some((quick + slow) as f64), "it counts {count:?}");
        Ok(Some(()))
    })
    .await?;
    // Only the canary fails, and only where no delay was ordered.
    let failures = if version == "canary" { loads[0].failures.app } else { 0 };
    let expected = 100.0 * (1.0 - failures as f64 / (quick + slow) as f64);
    let success = prometheus.ask(&query(SUCCESS)).await?.context("no success rate")?;
    let p99 = prometheus.ask(&query(P99)).await?.context("no p99")?;
    let measured = loads[1].latency_ms.context("no latency")?.p50;
    say(&format!(
        "{target}: Prometheus says {success:.2} % and p99 {p99:.0} ms; the load {expected:.2} % of {}, \
         and {measured:.0} ms for its slow tenth",
        quick + slow
    ));
    // A rate is extrapolated for each series; counts, which are not, agreed above to the last request.
    ensure!((success - expected).abs() < 1.5, "{success} % is not {expected} %");
    // A histogram knows no more than its buckets, each at most two and a half times as wide as the one below.
    ensure!((0.4..=2.5).contains(&(p99 / measured)), "p99 {p99} ms, but {measured} ms");
    Ok(())
}

/// The canary's pod fails one request of ten.
async fn faults(space: &Space) -> Result<()> {
    let pod = space.mesh.pod(&space.name, "app=shop-canary").await?;
    let forward = Forward::start(&space.mesh.client, &space.name, &pod, 8080).await?;
    let order = Ask::get("faulty", "/faults").method("POST").body(r#"{"fail": "10%"}"#);
    let answer = Client::new(forward.address()).send(&order).await?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(())
}

/// The stand-in for Istio's telemetry, in this namespace's sidecars, where Envoy lacks the real one.
async fn stand_in(space: &Space) -> Result<()> {
    let settings = &space.mesh.settings;
    let Some(module) = &settings.istio_stats else { return Ok(()) };
    let plugin = json!({
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {"name": "istio-stats"},
        "spec": {
            "url": settings.push(module).await?,
            "phase": "STATS",
            "failStrategy": "FAIL_OPEN",
            "match": [{"mode": "CLIENT_AND_SERVER"}],
        },
    });
    space.apply_in(&space.name, plugin).await?;
    Ok(())
}
