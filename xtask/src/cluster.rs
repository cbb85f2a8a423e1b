//! The test cluster, by the program of its own crate, so that the other chores build without it.

use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, Result};

use crate::run::cargo;

/// A real Kubernetes with a real Istio on this machine; `cargo xtask cluster help` says how
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// What the cluster's own program is told; `help` lists it
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    arguments: Vec<String>,
}

/// Becomes that program: whoever signals this process signals it, and its exit code is the result.
pub(crate) fn run_cluster(args: &Args) -> Result<()> {
    let mut command = cargo(["run", "--quiet", "--package", "serin-cluster", "--"]);
    // Paths are given from where the caller is.
    let here = std::env::current_dir().context("this directory is gone")?;
    let error = command.args(&args.arguments).current_dir(here).exec();
    Err(error).context("cargo could not be started")
}
