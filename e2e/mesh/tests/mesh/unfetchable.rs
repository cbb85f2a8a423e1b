//! A module that no Envoy can get: every request goes to primary, and none fails.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serin_e2e_mesh::{
    absence::without,
    envoy, eventually,
    load::{Load, Order, by},
    plugin::{Plugin, rollout},
    say,
    space::{Company, Space, in_space},
    stage::{self, Stage},
};
use tokio::time::sleep;

/// Nobody's digest.
const ABSENT: &str = "0000000000000000000000000000000000000000000000000000000000000000";

#[tokio::test(flavor = "multi_thread")]
async fn without_a_module_everything_goes_to_primary() -> Result<()> {
    in_space("unfetchable", Company::Any, async |space| {
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
        for (case, plugin) in &cases {
            let before = refusals(space).await?;
            plugin.put(space, &everything).await?;
            let more = eventually(&format!("the agent to fail: {case}"), async || {
                let after = refusals(space).await?;
                Ok((case == &cases[0].0 || after > before).then_some(after))
            })
            .await?;
            say(&format!("{case}: the agent refused it {more} times in all"));
            sleep(Duration::from_secs(2)).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn without_a_registry_filters_that_run_go_on_and_new_pods_go_to_primary() -> Result<()> {
    in_space("registry", Company::None, async |space| {
        let Some((namespace, name)) = &space.mesh.settings.registry_deployment else {
            say("left out: a registry that goes down, for SERIN_REGISTRY_DEPLOYMENT is not set");
            return Ok(());
        };
        stage::shop(space).await?;
        let stage = Stage::set(space).await?;
        stage.apply(&[rollout(space, "shop", 1, 50)]).await?;
        let without = without(&space.mesh, namespace, name, async || {
            // Who has the module needs the registry no more, whatever the table says.
            stage.apply(&[rollout(space, "shop", 2, 100)]).await?;
            let outcome = stage.load.run(&Order::of("http://shop/", 100, 2)).await?;
            ensure!(by(&outcome, "canary")? == outcome.sent, "{outcome:#?}");
            stage::restart(&space.mesh, &space.name, "load").await?;
            stage::ready(&space.mesh, &space.name).await?;
            let load = Load::of(&space.mesh, &space.name).await?;
            let outcome = load.run(&Order::of("http://shop/", 100, 5)).await?;
            ensure!(by(&outcome, "primary")? == outcome.sent, "{outcome:#?}");
            Ok(load)
        });
        let load = without.await?;
        // What was in the registry may have gone with it. The agent tries again with the next change.
        space.mesh.settings.filter().await?;
        stage.apply(&[rollout(space, "shop", 3, 100)]).await?;
        let outcome = load.run(&Order::of("http://shop/", 100, 2)).await?;
        ensure!(by(&outcome, "canary")? == outcome.sent, "{outcome:#?}");
        Ok(())
    })
    .await
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

/// How often the agent of the caller's sidecar could not make a filter of what istiod sent.
async fn refusals(space: &Space) -> Result<u64> {
    let pod = space.mesh.pod(&space.name, "app=load").await?;
    let counts =
        envoy::metrics(&space.mesh, &space.name, &pod, "istio_agent_wasm_config_conversion_count")
            .await?;
    let failed = counts.iter().filter(|line| !line.contains("result=\"success\""));
    let numbers = failed.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    Ok(numbers.sum())
}
