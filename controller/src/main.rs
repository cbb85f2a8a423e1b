//! The controller's program.

use std::process::ExitCode;

use clap::Parser as _;
use kube::Client;
use serin_controller::args::Args;
use serin_controller::{logs, run, shutdown};

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(error) = logs::start(&args.log) {
        eprintln!("serin-controller: {error}");
        return ExitCode::from(2);
    }
    let outcome = match Client::try_default().await {
        Ok(client) => run::run(client, args.options(), shutdown::asked()).await,
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the controller ends");
            ExitCode::FAILURE
        }
    }
}
