//! The tests, tier by tier: the lowest tier that can fail comes first.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::{
    envoy,
    run::{cargo, run, say, target},
    wasm,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these tiers
    #[arg(long, value_enum, value_delimiter = ',', value_name = "TIER")]
    tier: Vec<Tier>,
    /// Use this Envoy in the envoy tier
    #[arg(long, env = "SERIN_ENVOY", value_name = "PATH")]
    envoy: Option<PathBuf>,
    /// Repeat the envoy tier on the Envoys of Istio 1.28 to 1.31
    #[arg(long)]
    all_envoys: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tier {
    /// Format, lints, unit and property tests, layering, simulation: nothing but cargo
    Unit,
    /// The built module in a wasm host, and route's vectors on wasm32
    Module,
    /// A real Envoy
    Envoy,
}

/// Runs the chosen tiers, all by default.
pub(crate) fn run_tests(args: &Args) -> Result<()> {
    let chosen = |tier| args.tier.is_empty() || args.tier.contains(&tier);
    if chosen(Tier::Unit) {
        unit()?;
    }
    if chosen(Tier::Module) {
        module()?;
    }
    if chosen(Tier::Envoy) {
        on_envoy(args)?;
    }
    for tier in Tier::value_variants().iter().filter(|tier| !chosen(**tier)) {
        let name = tier.to_possible_value().map(|value| value.get_name().to_owned());
        say(&format!("left out, by --tier: {}", name.unwrap_or_default()));
    }
    say("all chosen tiers passed");
    Ok(())
}

fn unit() -> Result<()> {
    say("tier unit: format, lints, unit and property tests, layering, simulation");
    run(&mut cargo(["fmt", "--all", "--check"])).context("`cargo fmt --all` mends it")?;
    lint()?;
    run(cargo(["test", "--workspace", "--exclude", "serin-filter", "--exclude", "serin-e2e"])
        .args(["--exclude", "serin-tests", "--exclude", "serin-cluster"])
        .args(["--exclude", "serin-e2e-apiserver"]))?;
    // What it tests by running programs is for the tiers that have them.
    run(&mut cargo(["test", "-p", "serin-cluster", "--lib"]))?;
    run(cargo(["test", "-p", "serin-tests", "--lib"]).args([
        "--test",
        "layering",
        "--test",
        "tidy",
        "--test",
        "simulation",
    ]))
}

fn lint() -> Result<()> {
    let strict = ["--", "-D", "warnings"];
    run(cargo(["clippy", "--quiet", "--workspace", "--exclude", "serin-filter", "--all-targets"])
        .args(strict))?;
    wasm::lint()
}

fn module() -> Result<()> {
    say("tier module: the built module in a wasm host, route's vectors on wasm32");
    let module = wasm::build()?;
    run(cargo(["test", "-p", "serin-tests", "--test", "module"]).env("SERIN_MODULE", module))?;
    wasm::vectors()
}

fn on_envoy(args: &Args) -> Result<()> {
    let (module, istio_stats) = (wasm::build()?, wasm::build_istio_stats()?);
    run(&mut cargo(["build", "-p", "serin-cli", "-p", "serin-e2e-apps"]))?;
    let mut envoys = vec![envoy::find(args.envoy.as_deref())?];
    if args.all_envoys {
        for version in envoy::OLDER {
            envoys.push(envoy::fetch(version)?);
        }
    }
    for envoy in envoys {
        say(&format!("tier envoy: {}", envoy.display()));
        run(cargo(["test", "-p", "serin-e2e"])
            .env("SERIN_MODULE", &module)
            .env("SERIN_ENVOY", &envoy)
            .env("SERIN_BIN", target().join("debug/serin"))
            .env("SERIN_ISTIO_STATS", &istio_stats)
            .env("SERIN_FAULTY", target().join("debug/faulty"))
            .env("SERIN_LOAD", target().join("debug/load")))?;
    }
    Ok(())
}
