//! The project's chores: everything that a person or CI runs, so that no recipe lives in a shell script.

mod bench;
mod cluster;
mod demo;
mod envoy;
mod fuzz;
mod rig;
mod run;
mod test;
mod wasm;
mod watched;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Chores of the Serin workspace. Each says what it does, and what is missing and how to get it.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Build the filter into dist/serin.wasm, stripped and checked
    Wasm(wasm::Args),
    /// Find Envoy, or fetch it into target/, and print where it is
    Envoy(envoy::Args),
    /// Build everything and run `serin demo`: three releases on a real Envoy
    Demo(demo::Args),
    /// Run the tests, tier by tier
    Test(test::Args),
    /// A real Kubernetes with a real Istio on this machine: up, down, status, env, load, logs
    Cluster(cluster::Args),
    /// Measure, and print ratios taken in one run
    Bench(bench::Args),
    /// Fuzz what reads bytes from outside (needs a nightly toolchain)
    Fuzz(fuzz::Args),
}

fn main() -> ExitCode {
    let outcome = match Args::parse().chore {
        Chore::Wasm(args) => wasm::run_wasm(&args),
        Chore::Envoy(args) => envoy::print(&args),
        Chore::Demo(args) => demo::run_demo(&args),
        Chore::Test(args) => test::run_tests(&args),
        Chore::Cluster(args) => cluster::run_cluster(&args),
        Chore::Bench(args) => bench::run_bench(&args),
        Chore::Fuzz(args) => fuzz::run_fuzz(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            run::say(&format!("failed: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
