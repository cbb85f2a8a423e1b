//! The test cluster, by the program of its own crate, so that the other chores build without it.

use anyhow::{Result, bail};

use crate::run::cargo;

/// A real Kubernetes with a real Istio on this machine; `cargo xtask cluster help` says how
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// What the cluster's own program is told; `help` lists it
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    arguments: Vec<String>,
}

/// Runs it with this terminal; what it prints is the result.
pub(crate) fn run_cluster(args: &Args) -> Result<()> {
    let mut command = cargo(["run", "--quiet", "--package", "serin-cluster", "--"]);
    let status = command.args(&args.arguments).status()?;
    if !status.success() {
        bail!("the cluster's program ended with {status}");
    }
    Ok(())
}
