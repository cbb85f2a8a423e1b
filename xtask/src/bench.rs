//! Measurements. Ratios are taken within one run: the machine is shared, absolute times are not comparable.

mod controller;
mod demo;

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;

use crate::{
    demo::Parts,
    envoy,
    run::{cargo, run},
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
    /// The controller: memory and API calls of idle Canaries, CPU for reports, how fast a release is and what it costs
    Controller(controller::Args),
}

/// Runs one benchmark.
pub(crate) fn run_bench(args: &Args) -> Result<()> {
    match &args.what {
        What::Decide => run(&mut cargo(["bench", "-p", "serin-route", "--bench", "decide"])),
        What::Envoy { envoy } => on_envoy(envoy.as_deref()),
        What::Demo { envoy, runs } => demo::run_demo(&Parts::ready(envoy.as_deref())?, *runs),
        What::Controller(args) => controller::run_controller(args),
    }
}

fn on_envoy(envoy: Option<&std::path::Path>) -> Result<()> {
    let module = wasm::build()?;
    run(cargo(["bench", "-p", "serin-e2e", "--bench", "envoy"])
        .env("SERIN_MODULE", module)
        .env("SERIN_ENVOY", envoy::find(envoy)?))
}
