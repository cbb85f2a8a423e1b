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
    telemetry,
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

/// Requests of each track before the load.
const FIRST: u64 = 2;

struct Track {
    name: &'static str,
    /// Of one request in ten, so that the track's p99 is no less.
    delay_ms: u32,
    fail: &'static str,
}

const TRACKS: [Track; 2] = [
    Track { name: "primary", delay_ms: 300, fail: "0%" },
    Track { name: "canary", delay_ms: 700, fail: "10%" },
];

#[tokio::test(flavor = "multi_thread")]
async fn flaggers_queries_agree_with_the_load() -> Result<()> {
    let Some(place) = Mesh::connect().await?.settings.prometheus else {
        left_out("prometheus", "SERIN_PROMETHEUS does not say where it is");
        return Ok(());
    };
    in_space("prometheus", Reliance::Mesh, async |space| {
        let prometheus = Prometheus::at(&place).await?;
        telemetry::stand_in(space, &space.name).await?;
        stage::shop(space).await?;
        let stage = Stage::set(space).await?;
        // One request in ten is slow, as slow as its track; of the canary's, one in ten fails.
        for Track { name, delay_ms, fail } in TRACKS {
            let faults =
                json!({"delay": format!("{delay_ms}ms"), "delay_share": "10%", "fail": fail});
            order(space, name, faults.to_string()).await?;
        }
        stage.apply(&[rollout(space, "shop", 1, 50)]).await?;
        first(space, &stage, &prometheus).await?;
        let load = stage.load.run(&Order::of("http://shop/", 100, 20)).await?;
        ensure!(load.failures.app > 0 && load.answered == load.sent, "{load:#?}");
        for track in &TRACKS {
            let all = FIRST + by(&load, track.name);
            counted(space, &prometheus, track.name, all).await?;
            agree(space, &prometheus, track, &load).await?;
        }
        Ok(())
    })
    .await
}

/// Two requests to each track, past the filter, that make every series, and are scraped: a rate knows nothing of the
/// number that a series begins with.
async fn first(space: &Space, stage: &Stage<'_>, prometheus: &Prometheus) -> Result<()> {
    for Track { name, .. } in TRACKS {
        let good = Order::of(&format!("http://shop-{name}/"), 1, 1);
        let bad = good.clone().header("x-fault-status", "500");
        let (good, bad) = try_join!(stage.load.run(&good), stage.load.run(&bad))?;
        ensure!(by(&good, name) + by(&bad, name) == FIRST, "{good:#?} {bad:#?}");
    }
    for Track { name, .. } in TRACKS {
        counted(space, prometheus, name, FIRST).await?;
    }
    Ok(())
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
    track: &Track,
    load: &Outcome,
) -> Result<()> {
    let version = track.name;
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
    // Rates are extrapolated for each series, the first two requests may be among them, and on a slow machine the load is
    // longer than the interval; counts agreed to the last request.
    ensure!((success - expected).abs() < 1.0, "{success} % is not {expected} %");
    // The called pod's proxy measures no less than its app took, and no more than the caller waited.
    let bounds = bucket(track.delay_ms.into())..=bucket(measured);
    ensure!(bounds.contains(&bucket(p99)), "p99 {p99} ms, but the load {measured} ms");
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
async fn order(space: &Space, track: &str, faults: String) -> Result<()> {
    let pod = space.mesh.pod(&space.name, &format!("app=shop-{track}")).await?;
    let forward = Forward::start(&space.mesh.client, &space.name, &pod, 8080).await?;
    let order = Ask::get("faulty", "/faults").method("POST").body(faults);
    let answer = Client::new(forward.address()).send(&order).await?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(())
}
