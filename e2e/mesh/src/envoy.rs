//! What a sidecar says about itself: Envoy's admin interface and the agent's metrics, through forwarded ports.

use anyhow::{Context, Result};
use serde_json::Value;
use serin_e2e::client::{Ask, Client};

use crate::{forward::Forward, mesh::Mesh};

/// Envoy's admin interface; the pod's own loopback only.
const ADMIN_PORT: u16 = 15_000;
/// The agent's metrics, with Envoy's and the app's.
const AGENT_PORT: u16 = 15_020;

/// A plugin that is there.
pub const MODULE: &str = "module";
/// What the agent writes under `FAIL_OPEN` in the place of a module that it could not get: a filter that allows all.
pub const NO_MODULE: &str = "wasm-default-allow";

/// How many VMs of a filter an Envoy has: one for each worker, and the main thread's.
pub async fn vms(mesh: &Mesh, namespace: &str, pod: &str) -> Result<usize> {
    let text = get(mesh, namespace, pod, ADMIN_PORT, "/stats?filter=^server.concurrency$").await?;
    let workers = text.trim().strip_prefix("server.concurrency: ");
    let workers: usize =
        workers.with_context(|| format!("{pod} has no workers: {text}"))?.parse()?;
    Ok(workers + 1)
}

/// Waits until an Envoy knows a route.
pub async fn knows(mesh: &Mesh, namespace: &str, pod: &str, route: &str) -> Result<()> {
    let path = "/config_dump?resource=dynamic_route_configs&name_regex=.*";
    crate::eventually(&format!("{pod} to know {route}"), async || {
        let routes = get(mesh, namespace, pod, ADMIN_PORT, path).await?;
        Ok(routes.contains(route).then_some(()))
    })
    .await
}

/// The lines of a pod's metrics that begin so, as Prometheus would scrape them.
pub async fn metrics(mesh: &Mesh, namespace: &str, pod: &str, begin: &str) -> Result<Vec<String>> {
    let text = get(mesh, namespace, pod, AGENT_PORT, "/stats/prometheus").await?;
    Ok(text.lines().filter(|line| line.starts_with(begin)).map(str::to_owned).collect())
}

/// The names of what an Envoy runs in its plugins' places: a module, or what the agent put there for want of one.
pub async fn plugins(mesh: &Mesh, namespace: &str, pod: &str) -> Result<Vec<String>> {
    let text = get(mesh, namespace, pod, ADMIN_PORT, "/config_dump?resource=ecds_filters").await?;
    let dump: Value = serde_json::from_str(&text).context("not a dump of Envoy's")?;
    let configs = dump["configs"].as_array().into_iter().flatten();
    let typed = configs.map(|it| &it["ecds_filter"]["typed_config"]);
    Ok(typed.map(|it| it["rules_stat_prefix"].as_str().unwrap_or(MODULE).to_owned()).collect())
}

async fn get(mesh: &Mesh, namespace: &str, pod: &str, port: u16, path: &str) -> Result<String> {
    let forward = Forward::start(&mesh.client, namespace, pod, port).await?;
    let answer = Client::new(forward.address()).send(&Ask::get("localhost", path)).await;
    let answer = answer.with_context(|| format!("port {port} of {pod} in {namespace}"))?;
    Ok(String::from_utf8_lossy(&answer.body).into_owned())
}
