//! The program `faulty`.

use std::process::ExitCode;

use clap::Parser as _;
use serin_e2e_apps::{aside, faulty};

#[tokio::main]
async fn main() -> ExitCode {
    match faulty::run(faulty::Args::parse()).await {
        Ok(code) => code,
        Err(error) => {
            aside(format_args!("faulty: {error}"));
            ExitCode::from(2)
        }
    }
}
