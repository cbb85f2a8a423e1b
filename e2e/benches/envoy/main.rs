//! What a filter costs: CPU microseconds of Envoy for each request, by comparison within one run.
//!
//! One Envoy for each filter chain, one worker thread, HTTP/1.1 on kept connections, answered by Envoy itself, so that
//! nothing but the filter differs. Every round measures every case once, in an order drawn anew; a case is judged by
//! its increment over no filter on the same route in the same round. The machine is shared: absolute numbers mean
//! little, differences of one round more, their median most.

mod case;
mod config;
mod load;
mod summary;

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    time::Instant,
};

use anyhow::{Context, Result};
use serin_e2e::{
    cpu::{Cpu, Noise},
    envoy::Envoy,
    receiver::Receiver,
};

use crate::{
    case::{Case, Chain, Route},
    summary::Summary,
};

/// Fresh Envoys: where their memory lies is a source of noise too.
const LAUNCHES: usize = 4;
/// Rounds of each launch.
const ROUNDS: usize = 5;
/// Requests of each measurement, and before it.
const REQUESTS: u64 = 20_000;
const WARM_UP: u64 = 4_000;

/// CPU microseconds for each request, by round.
type Samples = BTreeMap<Case, Vec<f64>>;

/// One chain's Envoy.
struct Bench {
    envoy: Envoy,
    load: load::Load,
    // Its files; gone with it.
    _directory: tempfile::TempDir,
}

fn main() -> Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> Result<()> {
    let noise = Noise::start()?;
    let began = Instant::now();
    let receiver = Receiver::start().await?;
    let mut samples = Samples::new();
    let order = RandomState::new();
    for launch in 1..=LAUNCHES {
        let benches = launch_all(&receiver).await?;
        for round in 1..=ROUNDS {
            let mut cases = Case::all();
            cases.sort_by_cached_key(|case| order.hash_one((launch, round, case)));
            for case in cases {
                let bench = benches.get(&case.chain).context("an Envoy for each chain")?;
                samples.entry(case).or_default().push(measure(bench, case).await?);
            }
            progress(launch, round, began);
        }
        check_counts(&receiver, launch).await?;
    }
    Summary::of(&samples, &noise.end()?).publish()
}

async fn launch_all(receiver: &Receiver) -> Result<BTreeMap<Chain, Bench>> {
    let mut benches = BTreeMap::new();
    for chain in Chain::all() {
        let directory = tempfile::Builder::new().prefix("serin-bench-").tempdir()?;
        let bootstrap = config::bootstrap(chain, directory.path(), receiver.address())?;
        let mut envoy = Envoy::start(directory.path(), &bootstrap, 1).await?;
        let address = envoy.listening().await?;
        let load = load::Load::connect(address)?;
        benches.insert(chain, Bench { envoy, load, _directory: directory });
    }
    Ok(benches)
}

async fn measure(bench: &Bench, case: Case) -> Result<f64> {
    bench.load.send(case, WARM_UP).await?;
    let cpu = Cpu::of(bench.envoy.pid()?);
    let before = cpu.nanoseconds()?;
    bench.load.send(case, REQUESTS).await?;
    let spent = cpu.nanoseconds()?.saturating_sub(before);
    Ok(spent as f64 / 1000.0 / REQUESTS as f64)
}

/// A filter that does nothing is cheap: ours must have counted what it was sent.
async fn check_counts(receiver: &Receiver, launches: usize) -> Result<()> {
    let sent = (launches * ROUNDS) as u64 * (REQUESTS + WARM_UP);
    serin_e2e::eventually("our filter to have reported what it served", async || {
        let totals = receiver.totals();
        let steered = Route::ALL.into_iter().filter(|route| *route != Route::Unsteered);
        let counted = |route| totals.all(&config::run_of(route)).requests;
        steered.map(counted).all(|counted| counted == sent).then_some(())
    })
    .await
}

#[expect(clippy::print_stderr, reason = "for the person who waits")]
fn progress(launch: usize, round: usize, began: Instant) {
    let seconds = began.elapsed().as_secs();
    eprintln!("launch {launch} of {LAUNCHES}, round {round} of {ROUNDS}: {seconds} s");
}
