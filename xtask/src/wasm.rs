//! The module: built for wasm32, stripped, checked, left in dist/.

mod module;
mod reach;
mod source;
mod standard;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{cargo, output, root, run, say, target};
use module::Module;
use standard::Standard;

/// The module's target. Without WASI: an Envoy offers little of it, and a filter needs none but randomness.
const TARGET: &str = "wasm32-unknown-unknown";
/// Envoy compiles the module on its main thread, about a millisecond for each KiB.
const BYTES_MAX: usize = 256 * 1024;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Build the standard library too, as where no target can be installed
    #[arg(long)]
    build_std: bool,
}

/// `cargo xtask wasm`.
pub(crate) fn run_wasm(args: &Args) -> Result<()> {
    let standard = if args.build_std { Standard::built()? } else { Standard::find()? };
    build_with(&standard).map(drop)
}

/// Builds the module and returns where it is.
pub(crate) fn build() -> Result<PathBuf> {
    build_with(&Standard::find()?)
}

/// Clippy for the filter, on its own target.
pub(crate) fn lint() -> Result<()> {
    let mut clippy = cargo(["clippy", "--package", "serin-filter"]);
    run(for_wasm(&mut clippy, &Standard::find()?).args(["--", "--deny", "warnings"]))
}

/// `core/route`'s vectors on wasm32, in Node.
pub(crate) fn vectors() -> Result<()> {
    if output(Command::new("node").arg("--version")).is_err() {
        say(
            "LEFT OUT: route's vectors on wasm32, for there is no `node` (Debian: apt install nodejs)",
        );
        return Ok(());
    }
    let runner = wasm_bindgen_runner()?;
    let mut test = cargo(["test", "--package", "serin-route", "--test", "wasm"]);
    run(for_wasm(&mut test, &Standard::find()?)
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", runner))
}

fn build_with(standard: &Standard) -> Result<PathBuf> {
    let mut command = cargo(["build", "--package", "serin-filter", "--profile", "module"]);
    run(for_wasm(&mut command, standard))?;
    let built = target().join("wasm").join(TARGET).join("module/serin_filter.wasm");
    let bytes =
        std::fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    let exports = golden("exports.txt")?;
    let stripped = Module::read(&bytes)?.stripped(&names(&exports))?;
    check(&Module::read(&stripped)?, &exports)?;
    if stripped.len() > BYTES_MAX {
        bail!("the module has {} bytes; it may have {BYTES_MAX}", stripped.len());
    }
    let dist = root().join("dist/serin.wasm");
    put(&dist, &stripped)?;
    say(&format!("{}: {} bytes of at most {BYTES_MAX}", dist.display(), stripped.len()));
    Ok(dist)
}

/// A cargo command for the module's target, with a target directory of its own: its flags would throw out what native
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

/// What the module asks of its host and offers to it must be what is written down: an Envoy refuses a module that
/// asks for more, and enters whatever it offers.
fn check(module: &Module<'_>, exports: &[String]) -> Result<()> {
    compare("imports", &module.imports()?, &golden("imports.txt")?)?;
    compare("exports", &module.exports()?, exports)
}

fn compare(what: &str, found: &[String], golden: &[String]) -> Result<()> {
    let missing = |of: &[String], from: &[String]| {
        let lines = of.iter().filter(|line| !from.contains(line)).map(String::as_str);
        lines.collect::<Vec<_>>().join("\n")
    };
    let (surplus, absent) = (missing(found, golden), missing(golden, found));
    if surplus.is_empty() && absent.is_empty() {
        say(&format!("{what}: as in wasm/{what}.txt"));
        return Ok(());
    }
    bail!(
        "{what} differ from wasm/{what}.txt\nin the module only:\n{surplus}\nin the file only:\n{absent}"
    );
}

fn golden(file: &str) -> Result<Vec<String>> {
    let path = root().join("wasm").join(file);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}

/// The first word of each line.
fn names(lines: &[String]) -> Vec<&str> {
    lines.iter().filter_map(|line| line.split(' ').next()).collect()
}

/// Writes a file whole or not at all: an Envoy may be reading the old one.
fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let beside = path.with_extension("new");
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    std::fs::write(&beside, bytes)?;
    Ok(std::fs::rename(&beside, path)?)
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
