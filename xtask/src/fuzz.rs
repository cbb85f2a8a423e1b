//! Coverage-guided fuzzing of everything that reads bytes from outside.

use anyhow::{Context, Result};

use crate::run::{cargo, output, root, run, target};

/// The targets below core/route/fuzz.
const TARGETS: [&str; 3] = ["table", "headers", "report"];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seconds for each target
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// Runs every target for a while; a crash leaves its input below core/route/fuzz/artifacts.
pub(crate) fn run_fuzz(args: &Args) -> Result<()> {
    let tools = target().join("tools");
    let cargo_fuzz = tools.join("bin/cargo-fuzz");
    if !cargo_fuzz.exists() {
        run(cargo(["install", "--quiet", "cargo-fuzz", "--locked", "--root"]).arg(&tools))?;
    }
    output(std::process::Command::new("rustup").args(["run", "nightly", "rustc", "--version"]))
        .context("fuzzing needs a nightly toolchain: `rustup toolchain install nightly`")?;
    for fuzz in TARGETS {
        run(std::process::Command::new(&cargo_fuzz)
            .args(["fuzz", "run", fuzz, "--"])
            .arg(format!("-max_total_time={}", args.seconds))
            .env("RUSTUP_TOOLCHAIN", "nightly")
            .current_dir(root().join("core/route")))?;
    }
    Ok(())
}
