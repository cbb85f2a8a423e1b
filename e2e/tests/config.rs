//! Configurations good and bad, modules missing and broken, reloads under load, VMs that are replaced.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serin_e2e::{
    bed::{Bed, Setup},
    client::Ask,
    eventually,
    load::{Steady, send_all},
    modules,
    table::{host, rollout, table},
    xds::Chain,
};
use serin_route::{Rollout, Track};

fn shop(generation: u64, percent: u8) -> Rollout {
    Rollout { generation, ..rollout("shop", percent) }
}

fn ask() -> Ask {
    Ask::get(&host("shop"), "/")
}

/// Tables that no filter may put in force, and what their problem must name.
fn bad_tables() -> Result<Vec<(&'static str, String, &'static str)>> {
    let good = serde_json::to_value(table(&[shop(9, 0)]))?;
    let with = |path: &str, value: serde_json::Value| {
        let mut table = good.clone();
        *table.pointer_mut(path).expect("a place in the table") = value;
        table.to_string()
    };
    Ok(vec![
        ("no JSON", "\u{7f}garbage{".to_owned(), "JSON"),
        ("cut short", good.to_string()[..200].to_owned(), "JSON"),
        ("no object", "[1, 2]".to_owned(), "table"),
        ("unknown version", with("/version", 99.into()), "version"),
        ("weight too high", with("/rollouts/0/weight", 10_001.into()), "rollouts[0].weight"),
        ("unknown meaning", with("/rollouts/0/weight", "heavy".into()), "rollouts[0].weight"),
        ("no nonce", with("/rollouts/0/nonce", "".into()), "rollouts[0].nonce"),
        ("too large", format!("{{\"version\":1,\"x\":\"{}\"}}", "x".repeat(17 << 20)), "bytes"),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_table_keeps_the_last_good_one_and_says_so() -> Result<()> {
    let mut bed = Setup::of(&["shop"])?.start_with(&[shop(1, 100)]).await?;
    for (name, table, word) in bad_tables()? {
        let pushed = Instant::now();
        bed.push_text(&table)?;
        eventually("every VM to report the problem", async || {
            let named = |problem: &String| problem.contains(word);
            let with = bed.reporting(pushed, |report| report.problem.as_ref().is_some_and(named));
            (with == bed.vms()).then_some(())
        })
        .await
        .with_context(|| format!("{name}: {}", bed.explain()))?;
        let split = send_all(&bed.client, 20, |_| ask()).await?;
        assert_eq!(split.canary, 20, "{name}: the last good table is in force");
    }
    let rejected = bed.envoy.metric("serin_config_rejected", &[("tag", "bed")]).await?;
    assert_eq!(rejected, Some(1), "the newest table is refused");
    let total = bed.envoy.metric("serin_config_rejected_total", &[]).await?;
    assert!(total.is_some_and(|total| total >= 8), "{total:?}");
    // Never refused towards Envoy: as a first answer that would mean 500 for everything.
    let rejected = "extension_config_discovery.http_filter.serin.config_fail";
    assert_eq!(bed.envoy.stat(rejected).await?.unwrap_or(0), 0);
    bed.apply(&[shop(2, 0)]).await?;
    assert_eq!(bed.client.send(&ask()).await?.track(), Some(Track::Primary));
    let rejected = bed.envoy.metric("serin_config_rejected", &[("tag", "bed")]).await?;
    assert_eq!(rejected, Some(0), "healed");
    Ok(())
}

/// A request in flight keeps a configuration's root context alive, so Envoy makes no new one when it comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_comes_back_while_its_request_lasts_is_in_force_again() -> Result<()> {
    let mut setup = Setup::of(&["shop"])?;
    setup.concurrency = 1;
    let mut bed = setup.start_with(&[shop(1, 0)]).await?;
    let client = bed.client.clone();
    let slow = tokio::spawn(async move { client.send(&ask().act("slow 9000")).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    for bad in [false, true] {
        if bad {
            bed.push_text("{")?;
            tokio::time::sleep(Duration::from_millis(500)).await;
        } else {
            bed.apply(&[shop(2, 100)]).await?;
            assert_eq!(send_all(&bed.client, 20, |_| ask()).await?.canary, 20);
        }
        let back = Instant::now();
        bed.push(&table(&[shop(1, 0)]))?;
        // All that the filter has to go by are requests.
        eventually("the earlier table to decide", async || {
            let primary = |bed: &Bed| {
                let first = |report: &serin_route::Report| {
                    report.problem.is_none() && report.rollouts[0].generation == 1
                };
                bed.reporting(back, first) == bed.vms()
            };
            let track = bed.client.send(&ask()).await.ok()?.track();
            (track == Some(Track::Primary) && primary(&bed)).then_some(())
        })
        .await
        .with_context(|| format!("bad: {bad}; {}", bed.explain()))?;
        assert_eq!(send_all(&bed.client, 20, |_| ask()).await?.canary, 0);
    }
    assert!(!slow.is_finished(), "it lasts still");
    slow.abort();
    Ok(())
}

/// A bed whose filter begins with that configuration.
async fn beginning_with(config: &str) -> Result<Bed> {
    let mut setup = Setup::of(&["shop"])?;
    config.clone_into(&mut setup.plugin.as_mut().context("a plugin")?.config);
    setup.start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_first_table_is_primary_serves() -> Result<()> {
    for config in ["garbage", "", "{}", "null", r#"{"version": 99, "scope": "bed"}"#] {
        let mut bed = beginning_with(config).await?;
        let split = send_all(&bed.client, 50, |_| ask()).await?;
        assert_eq!((split.primary, split.errors), (50, 0), "{config:?}");
        bed.apply(&[shop(1, 100)]).await?;
        assert_eq!(send_all(&bed.client, 20, |_| ask()).await?.canary, 20, "{config:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_thousands_is_a_table() -> Result<()> {
    let mut rollouts: Vec<Rollout> =
        (0..2000).map(|index| rollout(&format!("app-{index}"), 50)).collect();
    rollouts.push(shop(1, 100));
    let mut bed = Setup::of(&["shop"])?.start().await?;
    bed.push(&table(&rollouts))?;
    eventually("the canary to serve", async || {
        let split = send_all(&bed.client, 20, |_| ask()).await.ok()?;
        (split.canary == 20).then_some(())
    })
    .await
    .with_context(|| bed.explain())?;
    bed.apply(&[shop(2, 0)]).await
}

/// What a module may be instead of a module.
fn no_modules(bed: &Bed) -> Result<Vec<(&'static str, std::path::PathBuf)>> {
    let directory = std::env::temp_dir();
    Ok(vec![
        ("missing", directory.join("serin-no-such-module.wasm")),
        ("corrupt", bed.file("corrupt.wasm", &modules::corrupt())?),
        ("text", bed.file("text.wasm", b"not a module at all")?),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_module_primary_serves_where_the_listener_says_so() -> Result<()> {
    let mut setup = Setup::of(&["shop"])?;
    setup.chain = Chain::DiscoveredOrPass;
    let good = setup.plugin.clone().context("a plugin")?.module;
    setup.plugin.as_mut().context("a plugin")?.module = "/serin-no-such-module.wasm".into();
    let mut bed = setup.start().await?;
    for (name, module) in no_modules(&bed)? {
        bed.change(|plugin| plugin.module = module)?;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let split = send_all(&bed.client, 50, |_| ask()).await?;
        assert_eq!((split.primary, split.errors), (50, 0), "{name}");
    }
    bed.change(|plugin| plugin.module = good)?;
    bed.apply(&[shop(1, 100)]).await?;
    assert_eq!(send_all(&bed.client, 20, |_| ask()).await?.canary, 20);
    Ok(())
}

/// What Envoy does by itself, and why the filter never refuses a configuration and the listener of `serin local` has a
/// default: a first answer that Envoy refuses ends the waiting, and all requests fail, `FAIL_OPEN` or not.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_default_envoy_answers_500_until_there_is_a_module() -> Result<()> {
    let mut setup = Setup::of(&["shop"])?;
    let good = setup.plugin.clone().context("a plugin")?.module;
    setup.plugin.as_mut().context("a plugin")?.module = "/serin-no-such-module.wasm".into();
    let mut bed = setup.start().await?;
    let split = send_all(&bed.client, 20, |_| ask()).await?;
    assert_eq!((split.neither, split.errors), (20, 20));
    bed.change(|plugin| plugin.module = good)?;
    bed.apply(&[shop(1, 100)]).await?;
    assert_eq!(send_all(&bed.client, 20, |_| ask()).await?.canary, 20);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_module_does_not_replace_a_running_one() -> Result<()> {
    let mut bed = Setup::of(&["shop"])?.start_with(&[shop(1, 100)]).await?;
    let refused = "extension_config_discovery.http_filter.serin.config_fail";
    for (name, module) in no_modules(&bed)? {
        let before = bed.envoy.stat(refused).await?.unwrap_or(0);
        bed.change(|plugin| plugin.module = module)?;
        eventually("Envoy to refuse the module", async || {
            let refused = bed.envoy.stat(refused).await.ok()??;
            (refused > before).then_some(())
        })
        .await
        .with_context(|| name)?;
        assert_eq!(send_all(&bed.client, 20, |_| ask()).await?.canary, 20, "{name}");
    }
    bed.files.raw_plugin(b"{\"resources\": [{\"@type\": \"half a fi")?;
    eventually("Envoy to refuse a file that is none", async || {
        let stat = "extension_config_discovery.http_filter.serin.update_failure";
        (bed.envoy.stat(stat).await.ok()?? > 0).then_some(())
    })
    .await?;
    assert_eq!(send_all(&bed.client, 20, |_| ask()).await?.canary, 20);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads_under_load_fail_no_request_and_lose_no_count() -> Result<()> {
    const RELOADS: u64 = 220;
    let mut bed = Setup::of(&["shop"])?.start_with(&[shop(1, 50)]).await?;
    let load = Steady::start(&bed.client, 16, Duration::from_millis(10), |_| ask());
    let reload = |number: u64| {
        // Every tenth makes another generation; the others change what no generation is about.
        let mut table = table(&[shop(1 + number / 10, u8::try_from(number / 10 * 7 % 100)?)]);
        if let Some(reports) = &mut table.reports {
            reports.period_ms += u32::try_from(number % 2)?;
        }
        anyhow::Ok(table)
    };
    for number in 1..=RELOADS {
        bed.push(&reload(number)?)?;
        // About 20 ms, or 500 requests a second; longer on a machine that is slow, but no fewer requests.
        load.more(10).await?;
    }
    bed.apply(&[shop(RELOADS, 50)]).await?;
    let split = load.stop().await?;
    assert_eq!((split.errors, split.neither), (0, 0), "{split:?}");
    let updates = "extension_config_discovery.http_filter.serin.config_reload";
    let updates = bed.envoy.stat(updates).await?.unwrap_or(0);
    assert!(updates >= 200, "Envoy saw {updates} reloads");
    let totals = bed
        .settled("every request counted once", |totals| {
            totals.all("shop-1").requests == split.total()
        })
        .await?;
    assert_eq!(totals.track("shop-1", Track::Canary).requests, split.canary);
    assert_eq!(totals.mismatched("shop-1"), 0);
    assert_eq!(totals.boots("shop-1").len(), 2, "both workers, and the same VMs all along");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn replaced_vms_count_anew_and_nothing_is_counted_twice() -> Result<()> {
    let mut bed = Setup::of(&["shop"])?.start_with(&[shop(1, 50)]).await?;
    let began = Instant::now();
    send_all(&bed.client, 400, |_| ask()).await?;
    let before = bed.settled("400", |totals| totals.all("shop-1").requests == 400).await?;
    let old: BTreeSet<String> = boots(&bed, began);
    let replaced = Instant::now();
    bed.change(|plugin| plugin.vm = "another".to_owned())?;
    eventually("as many new VMs", async || {
        let boots = boots(&bed, replaced);
        (boots.difference(&old).count() == bed.vms()).then_some(())
    })
    .await
    .with_context(|| bed.explain())?;
    send_all(&bed.client, 300, |_| ask()).await?;
    let after = bed.settled("700", |totals| totals.all("shop-1").requests == 700).await?;
    let workers = |totals: &serin_e2e::totals::Totals| totals.boots("shop-1").len();
    assert_eq!((workers(&before), workers(&after)), (2, 4));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn vms_replaced_under_load_lose_little_and_invent_nothing() -> Result<()> {
    let mut bed = Setup::of(&["shop"])?.start_with(&[shop(1, 50)]).await?;
    let load = Steady::start(&bed.client, 8, Duration::from_millis(5), |_| ask());
    for round in 0..3 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        bed.change(|plugin| plugin.vm = format!("another {round}"))?;
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    let split = load.stop().await?;
    assert_eq!((split.errors, split.neither), (0, 0));
    // What was in force last reports on: after a second report of each VM nothing is on its way.
    let quiet = Instant::now();
    eventually("the last VMs to have reported twice", async || {
        let mut reports: BTreeMap<String, usize> = BTreeMap::new();
        for received in bed.receiver.received().into_iter().filter(|it| it.at >= quiet) {
            *reports.entry(received.report.boot).or_default() += 1;
        }
        (reports.values().filter(|count| **count >= 2).count() >= bed.vms()).then_some(())
    })
    .await
    .with_context(|| bed.explain())?;
    let counted = bed.receiver.totals().all("shop-1").requests;
    // What a VM counted after its last report goes with it: three times a period's worth, and some.
    assert!(counted <= split.total(), "{counted} counted of {}", split.total());
    assert!(counted * 2 >= split.total(), "{counted} counted of {}", split.total());
    assert!(bed.receiver.totals().fallen().is_empty());
    Ok(())
}

/// The boots that have reported since then.
fn boots(bed: &Bed, since: Instant) -> BTreeSet<String> {
    let received = bed.receiver.received().into_iter().filter(|it| it.at >= since);
    received.map(|it| it.report.boot).collect()
}
