//! The program `serin`.

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = serin_cli::envoy::become_envoy_if_asked() {
        return code;
    }
    ExitCode::SUCCESS
}
