//! The main job for a newcomer: build what is needed, then three releases on a real Envoy.

use std::{
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    envoy,
    run::{cargo, run, say, target},
    wasm,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Use this Envoy
    #[arg(long, env = "SERIN_ENVOY", value_name = "PATH")]
    envoy: Option<PathBuf>,
    /// Passed on to `serin demo` (see `cargo xtask demo -- --help`)
    #[arg(last = true, value_name = "ARGUMENTS")]
    rest: Vec<String>,
}

/// Builds, then becomes the demo: whoever signals this process signals `serin`, and its exit code is the demo's.
pub(crate) fn run_demo(args: &Args) -> Result<()> {
    let parts = Parts::ready(args.envoy.as_deref())?;
    say(&format!("{} demo {}", parts.serin.display(), args.rest.join(" ")));
    let error = parts.serin().arg("demo").args(&args.rest).exec();
    Err(error).with_context(|| format!("{} could not be started", parts.serin.display()))
}

/// What a release without a cluster needs.
pub(crate) struct Parts {
    pub(crate) serin: PathBuf,
    pub(crate) envoy: PathBuf,
    pub(crate) module: PathBuf,
}

impl Parts {
    /// Builds or finds all of them.
    pub(crate) fn ready(envoy: Option<&Path>) -> Result<Self> {
        let module = wasm::build()?;
        let envoy = envoy::find(envoy)?;
        // Unoptimised: it keeps up with a few hundred requests per second, and the tests share the build.
        run(&mut cargo(["build", "-p", "serin-cli"]))?;
        Ok(Self { serin: target().join("debug/serin"), envoy, module })
    }

    /// The CLI, told where the rest is.
    pub(crate) fn serin(&self) -> Command {
        let mut serin = Command::new(&self.serin);
        serin.env("SERIN_ENVOY", &self.envoy).env("SERIN_MODULE", &self.module);
        serin
    }
}
