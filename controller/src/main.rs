//! The controller's program.

use std::error::Error;
use std::process::ExitCode;

use clap::Parser as _;
use kube::Client;
use serin_controller::args::Args;
use serin_controller::run::{Shared, run_alone, run_elected};
use serin_controller::{logs, shutdown};

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(error) = logs::start(&args.log, args.log_format) {
        eprintln!("serin-controller: --log: {error}");
        return ExitCode::from(2);
    }
    match serve(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the controller ends");
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: Args) -> Result<(), Box<dyn Error>> {
    let stop = shutdown::asked();
    let shared = Shared::default();
    let client = Client::try_default().await?;
    let options = args.options();
    match args.election(client.default_namespace())? {
        Some(election) => {
            run_elected(client, options, election, args.pod, &shared, stop).await?;
        }
        None => run_alone(client, options, &shared, stop).await?,
    }
    Ok(())
}
