//! How long a change of the table takes to every Envoy thread.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
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
        let load = stage.load.begin(Order::of("http://shop/", 50, 300));
        let mut times = Vec::new();
        for generation in 1..=CHANGES {
            let rollouts = [rollout(space, "shop", generation, 50)];
            let since = Instant::now();
            stage.plugin.put(space, &rollouts).await?;
            let patched = Instant::now();
            let last = stage.reports.acknowledged(&rollouts, stage.vms, since).await?;
            times.push(last.saturating_duration_since(patched));
        }
        faultless(&load.stop().await?)?;
        times.sort_unstable();
        say(&told(&times, stage.vms));
        ensure!(times.len() as u64 == CHANGES, "{} of {CHANGES} changes", times.len());
        Ok(())
    })
    .await
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
