//! How long a change of the table takes to every Envoy thread, and that each request is drawn by the table that its
//! report names.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serin_e2e::{chance::sigmas, totals::Totals};
use serin_e2e_mesh::{
    load::{Order, faultless},
    plugin::rollout,
    say,
    space::{Reliance, in_space},
    stage::{self, Stage},
};

const CHANGES: u64 = 50;

#[tokio::test(flavor = "multi_thread")]
async fn a_patched_table_reaches_every_thread() -> Result<()> {
    in_space("patch", Reliance::Mesh, async |space| {
        stage::shop(space).await?;
        let stage = Stage::set(space).await?;
        // Before the first request, so that every one is counted.
        stage.apply(&[rollout(space, "shop", 1, percent(1))]).await?;
        let load = stage.load.begin(Order::of("http://shop/", 50, 300));
        let mut times = Vec::new();
        for generation in 2..2 + CHANGES {
            let rollouts = [rollout(space, "shop", generation, percent(generation))];
            let since = Instant::now();
            stage.plugin.put(space, &rollouts).await?;
            let patched = Instant::now();
            let last = stage.reports.acknowledged(&rollouts, stage.vms, since).await?;
            times.push(last.saturating_duration_since(patched));
        }
        let outcome = load.stop().await?;
        faultless(&outcome)?;
        times.sort_unstable();
        say(&told(&times, stage.vms));
        let all = |it: &Totals| it.all("shop-1").requests >= outcome.sent;
        let totals = stage.reports.settled("every request", all).await?;
        drawn_by_their_weight(&totals)
    })
    .await
}

/// One change and the next are far apart, so that whoever draws by another one than reported is found out.
fn percent(generation: u64) -> u8 {
    if generation.is_multiple_of(2) { 90 } else { 10 }
}

fn drawn_by_their_weight(totals: &Totals) -> Result<()> {
    let shares = totals.by_weight("shop-1", percent);
    for weight in [10, 90] {
        let (canary, all) = shares.get(&weight).copied().unwrap_or_default();
        ensure!(all > 0, "no request at {weight} %: {shares:?}");
        let off = sigmas(canary, all, f64::from(weight) / 100.0);
        say(&format!("{canary} of {all} requests at {weight} %: {off:.1} sigma off"));
        ensure!(off < 4.0, "{canary} of {all} at {weight} % is {off:.1} sigma off");
    }
    Ok(())
}

/// Times are printed, never judged: machines differ.
fn told(times: &[Duration], vms: usize) -> String {
    let quantile = |percent: usize| {
        let rank = (times.len() * percent).div_ceil(100).max(1);
        times.get(rank - 1).copied().unwrap_or_default().as_millis()
    };
    format!(
        "patch of pluginConfig until the last of {vms} VMs reported it, {} changes: \
         p50 {} ms, p99 {} ms, longest {} ms; that includes the filter's tick of 20 ms and the report's way to us",
        times.len(),
        quantile(50),
        quantile(99),
        quantile(100),
    )
}
