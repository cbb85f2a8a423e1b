//! The program `load`.

use std::process::ExitCode;

use clap::Parser as _;
use serin_e2e_apps::{aside, load};

#[tokio::main]
async fn main() -> ExitCode {
    match load::run_cli(load::Cli::parse()).await {
        Ok(code) => code,
        Err(error) => {
            aside(format_args!("load: {error}"));
            ExitCode::from(2)
        }
    }
}
