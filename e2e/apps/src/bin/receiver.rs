//! The program `receiver`.

use std::process::ExitCode;

use clap::Parser as _;
use serin_e2e_apps::{aside, receiver};

#[tokio::main]
async fn main() -> ExitCode {
    match receiver::run(receiver::Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            aside(format_args!("receiver: {error}"));
            ExitCode::from(2)
        }
    }
}
