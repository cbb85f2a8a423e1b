//! A module that no Envoy can get: every request goes to primary, and none fails.

use anyhow::{Context, Result, ensure};
use serin_e2e_mesh::{
    envoy::{self, NO_MODULE},
    eventually,
    load::{Order, by},
    plugin::{Plugin, rollout},
    say,
    space::{Reliance, Space, in_space},
    stage::{self, Stage},
};

/// Nobody's digest.
const ABSENT: &str = "0000000000000000000000000000000000000000000000000000000000000000";

#[tokio::test(flavor = "multi_thread")]
async fn without_a_module_everything_goes_to_primary() -> Result<()> {
    in_space("unfetchable", Reliance::Mesh, async |space| {
        stage::shop(space).await?;
        stage::receiver(space, &space.name).await?;
        let good = Plugin::of_sidecars(space).await?;
        let cases = broken(&good)?;
        // The pods start with the first: there never was a module.
        let (_, first) = cases.first().context("a case")?;
        let everything = [rollout(space, "shop", 1, 100)];
        first.put(space, &everything).await?;
        let stage = Stage::with(space, good.clone()).await?;
        let load = stage.load.begin(Order::of("http://shop/", 100, 300));
        let mut refused = 0;
        for (case, plugin) in &cases {
            // The first is in force already, and is not sent again.
            plugin.put(space, &everything).await?;
            refused = refusals(space, case, refused).await?;
            let outcome = stage.load.run(&Order::of("http://shop/", 100, 1)).await?;
            ensure!(by(&outcome, "primary")? == outcome.sent, "{case}: {outcome:#?}");
        }
        ensure!(stage.reports.received().is_empty(), "a filter runs");
        let outcome = load.stop().await?;
        ensure!(by(&outcome, "primary")? == outcome.sent, "{outcome:#?}");
        // All that was missing is the module.
        stage.apply(&[rollout(space, "shop", 2, 100)]).await?;
        let outcome = stage.load.run(&Order::of("http://shop/", 100, 2)).await?;
        ensure!(by(&outcome, "canary")? == outcome.sent, "{outcome:#?}");
        Ok(())
    })
    .await
}

/// Waits until the agent of the caller's sidecar has failed to fetch more modules than before, and Envoy runs something
/// else in the module's place; how many in all.
async fn refusals(space: &Space, case: &str, before: u64) -> Result<u64> {
    let (mesh, namespace) = (&space.mesh, &*space.name);
    let pod = mesh.pod(namespace, "app=load").await?;
    let metrics = async |name: &str| envoy::metrics(mesh, namespace, &pod, name).await;
    let refused = eventually(&format!("the agent to fail: {case}"), async || {
        let conversions = metrics("istio_agent_wasm_config_conversion_count{").await?;
        let failed = conversions.iter().filter(|it| it.contains("result=\"fetch_failure\""));
        let failed: u64 = failed.filter_map(|it| it.rsplit(' ').next()?.parse::<u64>().ok()).sum();
        ensure!(failed > before, "{failed} failures, as before: {conversions:?}");
        Ok(Some(failed))
    })
    .await?;
    eventually(&format!("Envoy to be without the module: {case}"), async || {
        let plugins = envoy::plugins(mesh, namespace, &pod).await?;
        ensure!(plugins == [NO_MODULE], "it runs {plugins:?}");
        Ok(Some(()))
    })
    .await?;
    let why = metrics("istio_agent_wasm_remote_fetch_count{").await?;
    say(&format!("{case}: {refused} refusals in all; the agent counts {}", why.join(", ")));
    Ok(refused)
}

/// Every way of not getting a module.
fn broken(good: &Plugin) -> Result<Vec<(&'static str, Plugin)>> {
    let (image, _) = good.url.split_once("@sha256:").context("the filter has a digest")?;
    let (registry, path) =
        image.trim_start_matches("oci://").split_once('/').context("an image is in a registry")?;
    let (host, _) = registry.split_once(':').unwrap_or((registry, ""));
    let with = |url: String| Plugin { url, ..good.clone() };
    Ok(vec![
        ("no such image", with(format!("oci://{registry}/nobody/nothing@sha256:{ABSENT}"))),
        ("no such digest", with(format!("oci://{registry}/{path}@sha256:{ABSENT}"))),
        ("another digest", Plugin { sha256: Some(ABSENT.to_owned()), ..good.clone() }),
        ("the registry is down", with(format!("oci://{host}:1/{path}@sha256:{ABSENT}"))),
    ])
}
