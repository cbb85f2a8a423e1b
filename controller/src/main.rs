//! The controller's program.

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use kube::Config;
use kube::client::ClientBuilder;
use serin_controller::admin::Admin;
use serin_controller::args::Args;
use serin_controller::logs::Level;
use serin_controller::run::{Shared, run_alone, run_elected};
use serin_controller::{logs, shutdown};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let level = match logs::start(&args.log, args.log_format) {
        Ok(level) => level,
        Err(error) => {
            eprintln!("serin-controller: --log: {error}");
            return ExitCode::from(2);
        }
    };
    // Its state is large, and lives as long as the program.
    match Box::pin(serve(args, level)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the controller ends");
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: Args, level: Level) -> Result<(), Box<dyn Error>> {
    let stop = shutdown::asked();
    let shared = Shared::default();
    let (health, metrics) = (Arc::clone(&shared.health), Arc::clone(&shared.metrics));
    let _port = Admin { health, metrics, level }.listen(args.admin_listen).await?;
    let config = Config::infer().await?;
    let client = ClientBuilder::try_from(config)?.with_layer(shared.metrics.calls()).build();
    let options = args.options(client.default_namespace());
    let listener = listen(args.reports_listen).await?;
    let _reports = shared.receive(listener, args.peers())?;
    match args.election(client.default_namespace())? {
        Some(election) => {
            run_elected(client, options, election, args.pod, &shared, stop).await?;
        }
        None => run_alone(client, options, &shared, stop).await?,
    }
    Ok(())
}

async fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    let hint = "give another address, or port 0 for any free one";
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| format!("--reports-listen {address}: {error}; {hint}"))
}
