//! The test cluster, by the program of its own crate, so that the other chores build without it.

use anyhow::{Result, bail};

use crate::run::cargo;

/// A real Kubernetes with a real Istio on this machine: one node in a network namespace of its own, without Docker and
/// without a route to anywhere. `cargo xtask cluster help` lists its commands; the usual ones are
///
///   cargo xtask cluster up                     build what is missing (once), start what does not run
///   eval "$(cargo xtask cluster env)"          then kubectl works, and `$SERIN_GATEWAY` is the ingress
///   cargo xtask cluster status                 which part runs, and is it ready
///   cargo xtask cluster logs kubelet           what a part says
///   cargo xtask cluster down                   leave nothing
#[derive(clap::Args)]
#[command(verbatim_doc_comment, disable_help_flag = true)]
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
