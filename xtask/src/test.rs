//! The tests, tier by tier: the lowest tier that can fail comes first. What the machine does not allow is left out, and
//! said; what was asked for by name and is not allowed is an error.

mod mesh;
pub(crate) mod needs;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
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
    /// In the cluster tier, use this context of your kubeconfig, and make no cluster (docs/existing-cluster.md)
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// In the cluster tier, leave the tests' cluster running when they have ended
    #[arg(long, conflicts_with = "context")]
    keep: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tier {
    /// Format, lints, unit and property tests, layering, simulation: nothing but cargo
    Unit,
    /// The built module in a wasm host, and route's vectors on wasm32
    Module,
    /// A real Envoy
    Envoy,
    /// A real API server without nodes, several at once
    Apiserver,
    /// A real Kubernetes with a real Istio: the rig, and the filter in sidecars and at a gateway
    Cluster,
}

impl Tier {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Runs the chosen tiers, all by default.
pub(crate) fn run_tests(args: &Args) -> Result<()> {
    let mut left_out = Vec::new();
    for tier in Tier::value_variants() {
        let name = tier.name();
        let is_named = args.tier.contains(tier);
        if !args.tier.is_empty() && !is_named {
            left_out.push(format!("{name}: by --tier"));
            continue;
        }
        match needs::obstacle(*tier, args.context.is_some()) {
            Some(obstacle) if is_named => bail!("tier {name}: {obstacle}"),
            Some(obstacle) => {
                say(&format!("tier {name} is LEFT OUT: {obstacle}"));
                left_out.push(format!("{name}: {obstacle}"));
            }
            None => {
                let missed = run_tier(*tier, args).with_context(|| format!("tier {name}"))?;
                left_out.extend(missed.into_iter().map(|missed| format!("{name}: {missed}")));
            }
        }
    }
    for line in &left_out {
        say(&format!("LEFT OUT, {line}"));
    }
    say(if left_out.is_empty() { "all tiers passed" } else { "all the rest passed" });
    Ok(())
}

/// Runs a tier; what it returns was left out of it, and why.
fn run_tier(tier: Tier, args: &Args) -> Result<Vec<String>> {
    match tier {
        Tier::Module => return Ok(module()?.into_iter().collect()),
        Tier::Cluster => return mesh::run_cluster(args),
        Tier::Unit => unit(),
        Tier::Envoy => on_envoy(args),
        Tier::Apiserver => apiserver(),
    }?;
    Ok(Vec::new())
}

/// Crates whose tests need more than cargo, and belong to other tiers.
const OTHER_TIERS: &[&str] = &[
    "serin-filter",
    "serin-e2e",
    "serin-e2e-apiserver",
    "serin-e2e-mesh",
    "serin-cluster",
    "serin-tests",
];

fn unit() -> Result<()> {
    say("tier unit: format, lints, unit and property tests, layering, simulation");
    run(&mut cargo(["fmt", "--all", "--check"])).context("`cargo fmt --all` mends it")?;
    lint()?;
    let mut all = cargo(["test", "--workspace"]);
    run(all.args(OTHER_TIERS.iter().flat_map(|name| ["--exclude", name])))?;
    // What they test by running programs is for the tiers that have them.
    run(&mut cargo(["test", "-p", "serin-cluster", "-p", "serin-e2e-mesh", "--lib"]))?;
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

fn module() -> Result<Option<String>> {
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

fn apiserver() -> Result<()> {
    say(
        "tier apiserver: etcd, an API server and a controller-manager, in loopback, several at once",
    );
    run(&mut cargo(["test", "-p", "serin-cluster", "--test", "apiserver"]))?;
    // They wait for most of their time, each with an API server of its own.
    run(&mut cargo(["test", "-p", "serin-e2e-apiserver", "--", "--test-threads=4"]))
}
