//! The two queries of the gitops-istio recipe, asked of a Prometheus that scrapes the mesh, and what the load says.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use serin_e2e::client::{Ask, Client};
use serin_e2e_apps::load::Outcome;
use serin_e2e_mesh::{
    eventually,
    forward::Forward,
    left_out,
    load::Order,
    mesh::Mesh,
    plugin::rollout,
    prometheus::Prometheus,
    say,
    space::{Reliance, Space, in_space},
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

/// Where the histogram's buckets end, in milliseconds: no more than this is known of a quantile.
const BUCKETS: [f64; 10] = [50.0, 100.0, 250.0, 500.0, 1e3, 2.5e3, 5e3, 1e4, 3e4, 6e4];

#[tokio::test(flavor = "multi_thread")]
async fn flaggers_queries_agree_with_the_load() -> Result<()> {
    let Some(place) = Mesh::connect().await?.settings.prometheus else {
        left_out("prometheus", "SERIN_PROMETHEUS does not say where it is");
        return Ok(());
    };
    in_space("prometheus", Reliance::Mesh, async |space| {
        let prometheus = Prometheus::at(&place).await?;
        stand_in(space).await?;
        stage::shop(space).await?;
        let stage = Stage::set(space).await?;
        // One request in ten is slow, as slow as its track; of the canary's, one in ten fails.
        order(space, "primary", r#"{"delay": "300ms", "delay_share": "10%"}"#).await?;
        order(space, "canary", r#"{"delay": "700ms", "delay_share": "10%", "fail": "10%"}"#).await?;
        stage.apply(&[rollout(space, "shop", 1, 50)]).await?;
        let before = first(space, &stage, &prometheus).await?;
        let load = stage.load.run(&Order::of("http://shop/", 100, 20)).await?;
        ensure!(load.failures.app > 0 && load.answered == load.sent, "{load:#?}");
        for version in ["primary", "canary"] {
            let all = by(&before, version) + by(&load, version);
            counted(space, &prometheus, version, all).await?;
            agree(space, &prometheus, version, &load).await?;
        }
        Ok(())
    })
    .await
}

/// Requests that make every series, and are scraped: a series begins with a number that no rate knows of.
async fn first(space: &Space, stage: &Stage<'_>, prometheus: &Prometheus) -> Result<Outcome> {
    let good = Order::of("http://shop/", 30, 1);
    let bad = Order::of("http://shop/", 30, 1).header("x-fault-status", "500");
    let (mut first, bad) = try_join!(stage.load.run(&good), stage.load.run(&bad))?;
    for (version, count) in bad.versions {
        *first.versions.entry(version).or_default() += count;
    }
    for version in ["primary", "canary"] {
        counted(space, prometheus, version, by(&first, version)).await?;
    }
    Ok(first)
}

/// Waits until Prometheus has counted all requests of a track, to the last.
async fn counted(space: &Space, prometheus: &Prometheus, version: &str, all: u64) -> Result<()> {
    eventually(&format!("Prometheus to count {all} requests of {version}"), async || {
        let count = prometheus.ask(&query(COUNT, space, version)).await?;
        ensure!(count == Some(all as f64), "it counts {count:?}");
        Ok(Some(()))
    })
    .await
}

/// What Flagger would hear of a track, and what the load says of the same.
async fn agree(
    space: &Space,
    prometheus: &Prometheus,
    version: &str,
    load: &Outcome,
) -> Result<()> {
    let ask = async |template| prometheus.ask(&query(template, space, version)).await;
    let success = ask(SUCCESS).await?.context("no success rate")?;
    let p99 = ask(P99).await?.context("no p99")?;
    let (all, measured) = (by(load, version), load.version_latency_ms.get(version));
    let measured = measured.context("no latency")?.p99;
    // Only the canary fails.
    let failures = if version == "canary" { load.failures.app } else { 0 };
    let expected = 100.0 * (1.0 - failures as f64 / all as f64);
    say(&format!(
        "{version}: Prometheus says {success:.2} % and p99 {p99:.0} ms; \
         the load {expected:.2} % of {all} and p99 {measured:.0} ms"
    ));
    // Rates are extrapolated for each series; counts, which are not, agreed to the last request.
    ensure!((success - expected).abs() < 0.5, "{success} % is not {expected} %");
    ensure!(bucket(p99) == bucket(measured), "p99 {p99} ms, but {measured} ms");
    Ok(())
}

fn query(template: &str, space: &Space, version: &str) -> String {
    let filled = template.replace("{{ namespace }}", &space.name);
    let target = format!("shop-{version}");
    filled.replace("{{ target }}", &target).replace("{{ interval }}", INTERVAL)
}

fn bucket(ms: f64) -> usize {
    BUCKETS.partition_point(|end| *end < ms)
}

fn by(load: &Outcome, version: &str) -> u64 {
    load.versions.get(version).copied().unwrap_or(0)
}

/// Orders faults of a track's pod.
async fn order(space: &Space, track: &str, faults: &'static str) -> Result<()> {
    let pod = space.mesh.pod(&space.name, &format!("app=shop-{track}")).await?;
    let forward = Forward::start(&space.mesh.client, &space.name, &pod, 8080).await?;
    let order = Ask::get("faulty", "/faults").method("POST").body(faults);
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
