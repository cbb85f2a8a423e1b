//! What the controller costs and how fast it is. The measuring programs are benchmarks of the crates that have what
//! they need; here is said which of them run, on what, and what could not.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use crate::{
    rig::{environment, rig},
    run::{cargo, run, say, target},
    test::{Tier, needs},
    wasm, watched,
};

/// A cluster of the benchmark's own: a contributor's is not touched.
const NAME: &str = "serin-bench";

const EXAMPLES: &str = "\
Examples:
  cargo xtask bench controller                                 all that this machine can measure; about half an hour
  cargo xtask bench controller --only idle --canaries 1,50     a first look, without root
  cargo xtask bench controller --only releases --name serin    releases on your cluster, as `cluster up` made it

The controller is built as it is shipped. It ends with an error if a release has no end or the wrong one, if a request
failed that the app did not fail, or if a report was refused. What cannot run here is named.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART")]
    only: Vec<Part>,
    /// How many idle Canaries, one measurement each; rising
    #[arg(long, value_delimiter = ',', default_value = "1,200,2000", value_name = "COUNT")]
    canaries: Vec<u32>,
    /// Reports in a round
    #[arg(long, default_value_t = 5_000)]
    reports: u32,
    /// Bad releases; a good one follows
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    releases: u32,
    /// Release on this cluster of ours, which is up (`cargo xtask cluster`), and make none
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Release on the cluster of this context of your kubeconfig, where a controller is installed, and make none
    #[arg(long, value_name = "NAME", conflicts_with = "name")]
    context: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Memory and API calls of idle Canaries: an API server alone
    Idle,
    /// CPU for each report received: an API server alone
    Reports,
    /// Time, failed requests and API calls of releases: a cluster with Istio
    Releases,
}

impl Part {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    fn obstacle(self, args: &Args) -> Option<String> {
        match self {
            Self::Idle | Self::Reports => needs::obstacle(Tier::Apiserver, false),
            Self::Releases => needs::obstacle(Tier::Cluster, args.context.is_some()),
        }
    }
}

/// Runs the parts, all by default, each whatever became of the others.
pub(super) fn run_controller(args: &Args) -> Result<()> {
    let (mut left_out, mut failed) = (Vec::new(), Vec::new());
    for part in Part::value_variants() {
        let name = part.name();
        let is_named = args.only.contains(part);
        if !args.only.is_empty() && !is_named {
            continue;
        }
        match part.obstacle(args) {
            Some(obstacle) if is_named => failed.push(format!("{name}: {obstacle}")),
            Some(obstacle) => left_out.push(format!("{name}: {obstacle}")),
            None => match run_part(*part, args) {
                Ok(missed) => left_out.extend(missed.iter().map(|why| format!("{name}: {why}"))),
                Err(error) => failed.push(format!("{name}: {error:#}")),
            },
        }
    }
    for line in &left_out {
        say(&format!("LEFT OUT, {line}"));
    }
    if failed.is_empty() { Ok(()) } else { bail!("{}", failed.join("\n")) }
}

/// Runs one; what it returns was left out of it.
fn run_part(part: Part, args: &Args) -> Result<Vec<String>> {
    match part {
        Part::Idle => {
            let canaries = args.canaries.iter().map(ToString::to_string);
            alone(bench("serin-e2e-apiserver", "controller").arg("idle").args(canaries))
        }
        Part::Reports => {
            let reports = args.reports.to_string();
            alone(bench("serin-e2e-apiserver", "controller").args(["reports", &reports]))
        }
        Part::Releases => releases(args),
    }
}

/// The program that measures need not be fast: built as tests are, it is there soon.
fn bench(package: &str, name: &str) -> Command {
    cargo(["bench", "--quiet", "--profile", "dev", "-p", package, "--bench", name, "--"])
}

/// With an API server of the program's own, and the controller as it is shipped.
fn alone(command: &mut Command) -> Result<Vec<String>> {
    let program = "serin-controller";
    run(&mut cargo(["build", "--release", "--quiet", "-p", program, "--bin", program]))?;
    watched::run(command.env("SERIN_CONTROLLER", target().join("release").join(program)))
}

fn releases(args: &Args) -> Result<Vec<String>> {
    let count = args.releases.to_string();
    let mut command = bench("serin-e2e-mesh", "releases");
    command.arg(&count).env("SERIN_MODULE", wasm::build()?);
    if let Some(context) = &args.context {
        return watched::run(command.env("SERIN_CONTEXT", context));
    }
    let name = args.name.as_deref().unwrap_or(NAME);
    let measured = on(name, args.name.is_none(), command);
    if args.name.is_some() {
        return measured;
    }
    // Also after a failure or a signal, which ends what was watched and comes back as an error.
    let taken_away = watched::run_anyway(&mut rig(name, ["down"]));
    measured.and_then(|left_out| taken_away.map(|_| left_out))
}

/// On a cluster of ours, with the controller as it is shipped.
fn on(cluster: &str, bring_up: bool, mut command: Command) -> Result<Vec<String>> {
    if bring_up {
        watched::run(&mut rig(cluster, ["up"]))?;
    }
    watched::run(&mut rig(cluster, ["install", "--release"]))?;
    let variables = environment(cluster).context("is it up?")?;
    watched::run(command.envs(variables))
}
