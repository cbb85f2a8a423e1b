//! Measurements. Ratios are taken within one run: the machine is shared, absolute times are not comparable.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use serde_json::Value;

use crate::{
    demo::Parts,
    envoy,
    run::{cargo, run, say},
    wasm,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// `decide` alone, by criterion
    Decide,
    /// CPU of Envoy for each request: no filter, empty filter, Lua, ours
    Envoy {
        /// Use this Envoy
        #[arg(long, env = "SERIN_ENVOY", value_name = "PATH")]
        envoy: Option<PathBuf>,
    },
    /// The demo, several times: seconds to quarantine and to rollback
    Demo {
        /// Use this Envoy
        #[arg(long, env = "SERIN_ENVOY", value_name = "PATH")]
        envoy: Option<PathBuf>,
        /// How often
        #[arg(long, default_value_t = 10)]
        runs: u32,
    },
}

/// Runs one benchmark.
pub(crate) fn run_bench(args: &Args) -> Result<()> {
    match &args.what {
        What::Decide => run(&mut cargo(["bench", "-p", "serin-route", "--bench", "decide"])),
        What::Envoy { envoy } => on_envoy(envoy.as_deref()),
        What::Demo { envoy, runs } => demo(&Parts::ready(envoy.as_deref())?, *runs),
    }
}

fn on_envoy(envoy: Option<&std::path::Path>) -> Result<()> {
    let module = wasm::build()?;
    run(cargo(["bench", "-p", "serin-e2e", "--bench", "envoy"])
        .env("SERIN_MODULE", module)
        .env("SERIN_ENVOY", envoy::find(envoy)?))
}

/// One release of one run.
struct Release {
    name: String,
    outcome: String,
    quarantine: Option<f64>,
    rollback: Option<f64>,
    failed_otherwise: u64,
}

#[expect(clippy::print_stdout, reason = "the figures are the chore's result")]
fn demo(parts: &Parts, runs: u32) -> Result<()> {
    let mut releases = Vec::new();
    for round in 1..=runs {
        let began = std::time::Instant::now();
        let output = parts
            .serin()
            .args(["demo", "--output", "json", "--seed"])
            .arg(round.to_string())
            .output()
            .context("`serin demo` could not be started")?;
        let seen = parse(&String::from_utf8_lossy(&output.stdout));
        if seen.is_empty() {
            bail!("`serin demo` printed no result: {}", String::from_utf8_lossy(&output.stderr));
        }
        say(&format!(
            "run {round} of {runs}: {:.0} s, {}",
            began.elapsed().as_secs_f64(),
            line(&seen)
        ));
        releases.extend(seen);
    }
    for name in ["healthy", "errors", "slow"] {
        println!("{}", summary(name, &releases));
    }
    Ok(())
}

fn parse(lines: &str) -> Vec<Release> {
    lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|line| {
            Some(Release {
                name: line.get("release")?.as_str()?.to_owned(),
                outcome: line.get("outcome")?.as_str()?.to_owned(),
                quarantine: line.get("seconds_to_quarantine")?.as_f64(),
                rollback: line.get("seconds_to_rollback")?.as_f64(),
                failed_otherwise: line.get("failed_otherwise")?.as_u64()?,
            })
        })
        .collect()
}

fn line(releases: &[Release]) -> String {
    let words = releases.iter().map(|release| format!("{} {}", release.name, release.outcome));
    words.collect::<Vec<_>>().join(", ")
}

fn summary(name: &str, releases: &[Release]) -> String {
    let of: Vec<&Release> = releases.iter().filter(|release| release.name == name).collect();
    let outcomes = |outcome| of.iter().filter(|release| release.outcome == outcome).count();
    let failed: u64 = of.iter().map(|release| release.failed_otherwise).sum();
    format!(
        "{name:8} runs {} promoted {} rolled back {} | quarantine {} | rollback {} | failed otherwise {failed}",
        of.len(),
        outcomes("promoted"),
        outcomes("rolled-back"),
        spread(of.iter().filter_map(|release| release.quarantine).collect()),
        spread(of.iter().filter_map(|release| release.rollback).collect()),
    )
}

/// Median, second largest and largest.
fn spread(mut seconds: Vec<f64>) -> String {
    seconds.sort_by(f64::total_cmp);
    let at = |index: usize| seconds.get(index).copied().unwrap_or(f64::NAN);
    match seconds.len() {
        0 => "-".to_owned(),
        n => format!(
            "median {:.1} s, second worst {:.1} s, worst {:.1} s",
            f64::midpoint(at((n - 1) / 2), at(n / 2)),
            at(n.saturating_sub(2)),
            at(n - 1)
        ),
    }
}
