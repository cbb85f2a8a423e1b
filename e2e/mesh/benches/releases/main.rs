//! How fast a release on a real cluster is, what it costs its users, and what it asks of the API server: bad versions,
//! one after the other, then a good one, under load all the time. `cargo xtask bench controller` runs it.
//!
//! It ends with an error if a release has another end than it should, or if a request failed that the app did not fail.

mod observed;
mod summary;

use std::{env, time::Instant};

use anyhow::{Context, Result, ensure};
use serin_e2e::cpu::Noise;
use serin_e2e_mesh::{
    release::{Controller, Release, Traffic, released},
    say,
    space::Space,
};

use crate::{observed::Observed, summary::Summary};

/// Requests a second from the load generator.
const RPS: u32 = 60;
/// What a bad version does.
const FAULT: (&str, &str) = ("FAULTY_FAIL", "30%");
const CANARY: &str = "\
apiVersion: serin.dev/v1beta1
kind: Canary
metadata: {name: shop}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
  service: {port: 80, targetPort: 8080}
  analysis:
    interval: 20s
    threshold: 5
    stepWeights: [10, 30, 60]
    evidence: {latencyWarmup: 5s}
";

/// How a release ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Promoted,
    RolledBack,
}

fn main() -> Result<()> {
    // Cargo adds a word of its own.
    let word = env::args().skip(1).find(|word| word != "--bench").context("how many releases?")?;
    let count: u32 = word.parse().with_context(|| word.clone())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(released("bench", async |space| measure(space, count).await))
}

async fn measure(space: &Space, count: u32) -> Result<()> {
    let noise = Noise::start()?;
    let controller = Controller::find(&space.mesh).await?.context("no controller")?;
    let release = Release::set(space, CANARY).await?;
    let mut all = Vec::new();
    for number in 1..=count {
        let observed = observe(&release, &controller, number, End::RolledBack).await?;
        say(&format!("release {number} of {count}: {}", observed.line()));
        all.push(observed);
    }
    let good = observe(&release, &controller, count + 1, End::Promoted).await?;
    say(&format!("a good release: {}", good.line()));
    Summary { bad: &all, good: &good, noise: &noise.end()? }.publish()
}

/// One release, from the change until no filter shows it any more.
async fn observe(
    release: &Release<'_>,
    controller: &Controller,
    number: u32,
    end: End,
) -> Result<Observed> {
    let (version, phase) = (format!("v{}", number + 1), end.phase());
    let before = observed::calls(release, controller).await?;
    let traffic = Traffic::inside(release, [release.inside(RPS)]);
    let (name, value) = FAULT;
    let value = if end == End::RolledBack { value } else { "0%" };
    let changed = release.version(&version, &[(name, value)]).await?;
    let began = release.story.phase(changed, "Progressing").await?;
    let ended = release.story.ends(began.at, phase).await?;
    let is_settled = |stage: &str| stage.is_empty() || stage == "settled";
    let what = "all proxies to show weight 0";
    let settled = release.story.until(what, ended.at, |scene| is_settled(&scene.stage)).await?;
    release.scaled("shop", 0).await?;
    let counted = traffic.stop().await?;
    let after = observed::calls(release, controller).await?;
    say(&release.story.told(changed));
    counted.only_the_app_failed()?;
    let (first, last) =
        counted.span(&version).with_context(|| format!("{version} never answered"))?;
    let first_fault = counted.faults().map(|(first, _)| first);
    ensure!(
        (end == End::RolledBack) == first_fault.is_some(),
        "a version that {end:?} failed first {first_fault:?}"
    );
    let seconds = |to: Instant, from: Instant| to.saturating_duration_since(from).as_secs_f64();
    Ok(Observed {
        exposed: seconds(first, changed),
        stopped: first_fault.map(|fault| seconds(settled.at, fault)),
        last: first_fault.map(|fault| seconds(last, fault)),
        ended: seconds(ended.at, changed),
        sent: counted.sent(),
        canary: counted.by(&version),
        failed: counted.failed_by_app(),
        calls: after.since(&before),
    })
}

impl End {
    fn phase(self) -> &'static str {
        match self {
            Self::Promoted => "Succeeded",
            Self::RolledBack => "Failed",
        }
    }
}
