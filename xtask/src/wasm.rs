//! Modules: built for wasm32, stripped, checked, left in dist/. One recipe for the filter, and for those that only
//! tests put into an Envoy.

mod module;
mod reach;
mod recipe;
mod source;
mod standard;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::{cargo, output, root, run, say, target};
use recipe::{FILTER, ISTIO_STATS, Recipe};
use standard::Standard;

/// The modules' target. Without WASI: an Envoy offers little of it, and a filter needs none but randomness.
const TARGET: &str = "wasm32-unknown-unknown";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Build the standard library too, as where no target can be installed
    #[arg(long)]
    build_std: bool,
    /// Build, in place of the filter, the modules that only tests use: dist/istio-stats.wasm
    #[arg(long)]
    test_parts: bool,
}

/// `cargo xtask wasm`.
pub(crate) fn run_wasm(args: &Args) -> Result<()> {
    let standard = if args.build_std { Standard::built()? } else { Standard::find()? };
    let recipe = if args.test_parts { &ISTIO_STATS } else { &FILTER };
    recipe.build(&standard).map(drop)
}

/// Builds the filter and returns where it is.
pub(crate) fn build() -> Result<PathBuf> {
    FILTER.build(&Standard::find()?)
}

/// Builds the test part that stands in for `istio.stats` and returns where it is.
pub(crate) fn build_istio_stats() -> Result<PathBuf> {
    ISTIO_STATS.build(&Standard::find()?)
}

/// Clippy for the modules, on their own target.
pub(crate) fn lint() -> Result<()> {
    let standard = Standard::find()?;
    for Recipe { package, .. } in [&FILTER, &ISTIO_STATS] {
        let mut clippy = cargo(["clippy", "--package", package]);
        run(for_wasm(&mut clippy, &standard).args(["--", "--deny", "warnings"]))?;
    }
    Ok(())
}

/// `core/route`'s vectors on wasm32, in Node.
pub(crate) fn vectors() -> Result<Option<String>> {
    if output(Command::new("node").arg("--version")).is_err() {
        let missed =
            "route's vectors on wasm32, for there is no `node` (Debian: apt install nodejs)";
        say(&format!("LEFT OUT: {missed}"));
        return Ok(Some(missed.to_owned()));
    }
    let runner = wasm_bindgen_runner()?;
    let mut test = cargo(["test", "--package", "serin-route", "--test", "wasm"]);
    run(for_wasm(&mut test, &Standard::find()?)
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", runner))?;
    Ok(None)
}

/// A cargo command for the modules' target, with a target directory of its own: its flags would throw out what native
/// builds leave.
fn for_wasm<'c>(command: &'c mut Command, standard: &Standard) -> &'c mut Command {
    command.args(["--target", TARGET, "--target-dir"]).arg(target().join("wasm"));
    if let Standard::Built { library } = standard {
        // An unstable flag on a stable toolchain, and where cargo looks for the library's source.
        command.arg("-Zbuild-std=std,panic_abort").env("RUSTC_BOOTSTRAP", "1");
        command.env("__CARGO_TESTS_ONLY_SRC_ROOT", library);
    }
    command
}

/// The runner of `wasm-bindgen-test`, which must be of the very version that the lock file names.
fn wasm_bindgen_runner() -> Result<PathBuf> {
    let lock = std::fs::read_to_string(root().join("Cargo.lock"))?;
    let version = locked(&lock, "wasm-bindgen").context("Cargo.lock knows no wasm-bindgen")?;
    let ours = target().join("tools/bin/wasm-bindgen-test-runner");
    for runner in [Path::new("wasm-bindgen-test-runner"), &ours] {
        if output(Command::new(runner).arg("--version")).is_ok_and(|it| it.ends_with(version)) {
            return Ok(runner.to_owned());
        }
    }
    run(cargo(["install", "--quiet", "wasm-bindgen-cli", "--version", version, "--root"])
        .arg(target().join("tools")))?;
    Ok(ours)
}

fn locked<'l>(lock: &'l str, package: &str) -> Option<&'l str> {
    let (_, behind) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    behind.split('"').next()
}
