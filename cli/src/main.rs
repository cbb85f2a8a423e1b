//! The program `serin`.

use std::process::ExitCode;

use serin_cli::args::{Args, Command};
#[cfg(feature = "cluster")]
use serin_cli::cluster;
use serin_cli::{demo, local};

fn main() -> ExitCode {
    if let Some(code) = serin_cli::envoy::become_envoy_if_asked() {
        return code;
    }
    let args = Args::of_process();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("serin: cannot start: {error}");
            return ExitCode::from(3);
        }
    };
    // On the main thread: Envoy dies with the thread that started it.
    let code = runtime.block_on(async {
        match &args.command {
            Command::Local(args) => local::command::main(args).await,
            Command::Demo(options) => demo::main(options).await,
            #[cfg(feature = "cluster")]
            Command::Cluster(verb) => cluster::main(verb).await,
        }
    });
    // A thread that waits for the terminal must not hold up the end.
    runtime.shutdown_background();
    code
}
