//! The command line of `load`.

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use super::{Options, Progress, run, service};
use crate::{aside, signals::Signals};

const MORE: &str = "\
The result says what became of all requests: by status, by version (from the answers' header), and failures by their
maker: the app's own, marked by x-app-fault; a proxy's, without any header of an app's; and those in transport,
without an answer. Ctrl-C ends the load early, and its result is printed all the same.

Exit codes:
  0  the load was sent, whatever became of it
  2  wrong usage

Examples:
  load http://localhost:8080/ --rps 50 --for 30s
  load http://10.200.0.1/ --host shop.test --rps 20 --for 1m --users 100 --output json
  load serve --listen 0.0.0.0:8090
  curl -d '{\"url\": \"http://podinfo:9898/\", \"rps\": 20, \"for\": \"10s\"}' localhost:8090/run";

/// Sends a bounded load that does not wait for answers, and counts what becomes of it.
#[derive(Debug, Parser)]
#[command(
    name = "load",
    after_help = MORE,
    max_term_width = 100,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Option<Options>,
    /// How the result is printed on the standard output.
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Wait for loads to be asked for, and send them from here.
    #[command(after_help = service::MORE)]
    Serve {
        /// Where it listens.
        #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8090", env = "LOAD_LISTEN")]
        listen: String,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table for people.
    #[default]
    Table,
    /// One JSON object.
    Json,
}

/// Does what was asked. An error is wrong usage, or an address that cannot be had.
pub async fn run_cli(cli: Cli) -> Result<ExitCode, String> {
    let mut signals = Signals::new().map_err(|error| error.to_string())?;
    match (cli.command, cli.options) {
        (Some(Command::Serve { listen }), _) => service::serve(&listen, signals).await?,
        (None, Some(options)) => {
            let plan = options.plan()?;
            let stop = async {
                signals.next().await;
                aside("load: ends early, waits for the last answers");
            };
            let outcome = run(&plan, &Progress::default(), stop).await;
            let text = match cli.output {
                Format::Table => outcome.to_string(),
                Format::Json => {
                    serde_json::to_string(&outcome).map_err(|error| error.to_string())? + "\n"
                }
            };
            print(&text);
        }
        (None, None) => return Err("nothing was asked; see --help".to_owned()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Whoever reads the data may have left, which is no failure of the load.
fn print(text: &str) {
    use std::io::Write as _;
    let _ = std::io::stdout().write_all(text.as_bytes());
}
