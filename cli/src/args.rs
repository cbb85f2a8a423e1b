//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::output::Format;

/// What every ending means; shown by `--help`.
const EXIT_CODES: &str = "Exit codes (of what asks a cluster: `serin watch --help`):
  0    promoted (demo: every release ended as it should)
  1    rolled back (demo: one ended otherwise)
  2    wrong usage, or a file with problems
  3    something is missing here: Envoy, the filter, a free port, a place for the report
  4    ended, but the report or the file of --state could not be written; the output says how it ended
  130  interrupted";

/// The name under which kubectl finds it.
const PLUGIN: &str = "kubectl-serin";

/// What a person at the terminal may type; shown by `local --help`.
const COMMANDS: &str = "While it runs, type at the terminal:
  pause    hold the weight, keep judging
  resume   go on, also past a pause without end or an unclear evidence
  promote  skip the steps that are left
  abort    take all traffic back";

/// Ships a new version to a few users first, watches it, and goes on or goes back by itself.
///
/// `local` and `demo` need no cluster; all others ask the controller of one, by the kubeconfig that kubectl uses.
/// Linked to as `kubectl-serin`, they are `kubectl serin get` and so on.
#[derive(Debug, Parser)]
#[command(name = "serin", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Carry out one release between two sets of addresses, behind an Envoy of its own.
    #[command(after_help = format!("{COMMANDS}\n\n{EXIT_CODES}"))]
    Local(Local),
    /// Watch three releases of a small web app on a real Envoy: a healthy one, one that fails, one that is slow.
    #[command(after_help = EXIT_CODES)]
    Demo(crate::demo::Options),
    /// What is asked of a cluster.
    #[cfg(feature = "cluster")]
    #[command(flatten)]
    Cluster(crate::cluster::Verb),
}

impl Args {
    /// The arguments of this process; ends it where they are wrong. Linked to as `kubectl-serin`, it is kubectl's.
    pub fn of_process() -> Self {
        let name = std::env::args_os().next().map(PathBuf::from);
        let plugin = name.is_some_and(|it| it.file_name().is_some_and(|it| it == PLUGIN));
        let command = Self::command();
        let command = if plugin { command.bin_name("kubectl serin") } else { command };
        Self::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
    }
}

/// One release on one Envoy.
#[derive(Debug, clap::Args)]
pub struct Local {
    /// A file with a Canary (serin.dev/v1beta1), and the templates that its metrics refer to.
    pub file: PathBuf,
    /// An address of the version that serves now; repeatable. A name is looked up once.
    #[arg(long, value_name = "HOST:PORT", required = true)]
    pub primary: Vec<String>,
    /// An address of the new version; repeatable.
    #[arg(long, value_name = "HOST:PORT", required = true)]
    pub canary: Vec<String>,
    /// Where Envoy listens for requests; port 0 takes any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Envoy and the filter.
    #[command(flatten)]
    pub tools: Tools,
    /// How decisions are printed on the standard output.
    #[arg(long, value_enum, default_value_t)]
    pub output: Format,
    /// Where the report page is written.
    #[arg(long, value_name = "PATH", default_value = "serin-report.html")]
    pub report: PathBuf,
    /// Write no report page.
    #[arg(long, conflicts_with = "report")]
    pub no_report: bool,
    /// Keep the release's status here; a release that was interrupted is carried on.
    #[arg(long, value_name = "PATH")]
    pub state: Option<PathBuf>,
}

/// Envoy and the filter.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Tools {
    /// The Envoy to start, 1.36 or newer; without it, the first on the PATH.
    #[arg(long, value_name = "PATH", env = "SERIN_ENVOY")]
    pub envoy: Option<PathBuf>,
    /// The filter's module; without it, dist/serin.wasm here or beside the program.
    #[arg(long, value_name = "PATH", env = "SERIN_MODULE")]
    pub module: Option<PathBuf>,
}
