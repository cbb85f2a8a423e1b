//! The module: built for wasm32, stripped, checked, left in dist/. STUB by the lead: the module's author replaces the
//! bodies and keeps the three signatures; `Args` holds `--build-std`.

use std::path::PathBuf;

use anyhow::Result;

use crate::run::{cargo, root, run};

#[derive(clap::Args)]
pub(crate) struct Args {}

/// `cargo xtask wasm`.
pub(crate) fn run_wasm(_args: &Args) -> Result<()> {
    build().map(drop)
}

/// Builds the module and returns where it is.
pub(crate) fn build() -> Result<PathBuf> {
    run(&mut cargo([
        "build",
        "-p",
        "serin-filter",
        "--target",
        "wasm32-unknown-unknown",
        "--profile",
        "module",
        "--target-dir",
        "target/wasm",
    ]))?;
    Ok(root().join("target/wasm/wasm32-unknown-unknown/module/serin_filter.wasm"))
}

/// Clippy for the filter, on its own target.
pub(crate) fn lint() -> Result<()> {
    run(&mut cargo([
        "clippy",
        "-p",
        "serin-filter",
        "--target",
        "wasm32-unknown-unknown",
        "--",
        "-D",
        "warnings",
    ]))
}

/// `core/route`'s vectors on wasm32, in Node.
pub(crate) fn vectors() -> Result<()> {
    Ok(())
}
