//! The rig's command line; `cargo xtask cluster` builds and runs it.

use std::{
    fs::File,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use serin_cluster::{
    apiserver::ApiServer,
    cluster::{Cluster, DEFAULT, Extent},
    command, forward,
    images::Profile,
    install::{self, Overlay},
    place::Place,
    registry, say,
};

const EXAMPLES: &str = "\
Examples:
  cargo xtask cluster up                  build what is missing (once), start what does not run
  eval \"$(cargo xtask cluster env)\"      then kubectl works, and $SERIN_GATEWAY is the ingress
  cargo xtask cluster status              which part runs, and is it ready
  cargo xtask cluster install             Serin itself, built from this tree
  cargo xtask cluster logs kubelet        what a part says
  cargo xtask cluster --name two up       another one beside it
  cargo xtask cluster down                leave nothing
  cargo xtask cluster apiserver           an API server alone, without root";

/// A real Kubernetes with a real Istio on this machine: one node in a network namespace of its own, without Docker and
/// without a route to anywhere.
///
/// `up` needs root, Go, and about 10 GB in `$SERIN_CACHE` (~/.cache/serin when it is not set); the first one takes up
/// to half an hour, each later one less than a minute. `apiserver` needs no root, and builds only what it runs.
#[derive(Parser)]
#[command(name = "serin-cluster", bin_name = "cargo xtask cluster", after_help = EXAMPLES)]
struct Args {
    /// Which cluster, when there is more than one
    #[arg(long, global = true, default_value = DEFAULT, value_name = "NAME")]
    name: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build what is missing, start what does not run, wait until all is ready
    Up {
        /// Stop at a Ready node: no DNS, Istio, registry or Prometheus
        #[arg(long)]
        bare: bool,
    },
    /// Remove everything of it: processes, mounts, cgroups, the namespace
    Down,
    /// Print which part runs and whether it is ready; exit code 1 when one that should be is not
    Status,
    /// Print KUBECONFIG and the addresses, for `eval "$(cargo xtask cluster env)"`
    Env,
    /// Give OCI archives to the node, as images for `imagePullPolicy: IfNotPresent`
    Load {
        #[arg(required = true, value_name = "IMAGE")]
        archives: Vec<PathBuf>,
    },
    /// Push a filter module to the cluster's registry; print the URL, with its digest, for a `WasmPlugin`
    PushModule {
        #[arg(value_name = "FILE")]
        module: PathBuf,
    },
    /// Build the controller and the filter and install them by deploy/; again: what has changed
    Install {
        /// Serve Canaries of flagger.app too, beside Istio
        #[arg(long)]
        flagger: bool,
        /// The controller as it is measured; a build of several minutes
        #[arg(long)]
        release: bool,
    },
    /// Print the log of a part, such as kubelet
    Logs { part: String },
    /// Run an API server alone, without root, until Ctrl-C; print its kubeconfig's path
    Apiserver,
    /// The part of a cluster that leads loopback ports inside
    #[command(hide = true)]
    Forward { ports: Vec<u16> },
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            say::note(&format!("failed: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<ExitCode> {
    let cluster = Cluster::named(&args.name)?;
    if matches!(args.command, Command::Status) {
        return status(&cluster);
    }
    obey(args, &cluster).map(|()| ExitCode::SUCCESS)
}

fn obey(args: &Args, cluster: &Cluster) -> Result<()> {
    match &args.command {
        Command::Up { bare } => {
            let extent = if *bare { Extent::Node } else { Extent::Mesh };
            let program = std::env::current_exe().context("this program's own path")?;
            let ending = cluster.clone();
            command::end_with_signals(move || ending.interrupted())?;
            say::part("up", || cluster.up(extent, &program))
        }
        Command::Down => cluster.down(),
        Command::Status => status(cluster).map(drop),
        Command::Env => print(&cluster.env()?),
        Command::Load { archives } => archives.iter().try_for_each(|it| cluster.load(it)),
        Command::PushModule { module } => {
            let registry = cluster.address("registry")?.to_string();
            print(&format!("{}\n", registry::push_module(&registry, module)?))
        }
        Command::Install { flagger, release } => {
            let overlay = if *flagger { Overlay::Flagger } else { Overlay::Serin };
            let profile = if *release { Profile::Release } else { Profile::Debug };
            command::end_with_signals(|| say::note("interrupted; the same command goes on"))?;
            say::part("install", || install::install(cluster, &args.name, overlay, profile))
        }
        Command::Logs { part } => {
            let path = cluster.log(part)?;
            let mut log = File::open(&path).with_context(|| path.display().to_string())?;
            written(io::copy(&mut log, &mut io::stdout().lock()))
        }
        Command::Apiserver => apiserver(),
        Command::Forward { ports } => forward::serve(&Place::new(&args.name)?, ports),
    }
}

/// A failure too when something that is to run does not.
fn status(cluster: &Cluster) -> Result<ExitCode> {
    let status = cluster.status()?;
    print(&status.table)?;
    if status.missing.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let (missing, up) = (status.missing.join(", "), cluster.command("up"));
    say::note(&format!("not ready: {missing}; `{up}` mends what it can"));
    Ok(ExitCode::FAILURE)
}

fn apiserver() -> Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let server = say::part("an API server", ApiServer::start)?;
    print(&format!("{}\n", server.kubeconfig().display()))?;
    say::note("Ctrl-C ends it");
    signals.forever().next();
    Ok(())
}

fn print(text: &str) -> Result<()> {
    written(io::stdout().lock().write_all(text.as_bytes()))
}

/// A reader such as `head` that has read enough is no failure.
fn written<T>(outcome: io::Result<T>) -> Result<()> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map(drop).context("standard output takes nothing"),
    }
}
