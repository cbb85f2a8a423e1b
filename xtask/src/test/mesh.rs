//! The cluster tier: the rig's own tests, then the filter in a mesh, then releases by the controller, on a cluster that
//! is made for it and taken away, or on one that the caller names.

use std::process::Command;

use anyhow::Result;

use super::Args;
use crate::{
    rig::{environment, rig},
    run::{cargo, run, say},
    wasm, watched,
};

/// A cluster of the tests' own: a contributor's is not touched.
const NAME: &str = "serin-test";

/// Tests that run at once: the machine has few cores, and each brings pods. One or two of them wait to be alone.
const AT_ONCE: &str = "--test-threads=4";
/// Releases that go on at once, each under load all the time.
const RELEASES_AT_ONCE: &str = "--test-threads=3";

/// Runs the tier; returns what was left out of it, and why.
pub(super) fn run_cluster(args: &Args) -> Result<Vec<String>> {
    let module = wasm::build()?;
    let mut tests = test("mesh", AT_ONCE);
    tests.env("SERIN_MODULE", module);
    if let Some(context) = &args.context {
        say(&format!("tier cluster: the mesh of context {context}"));
        let mut left_out = watched::run(tests.env("SERIN_CONTEXT", context))?;
        // Each says so itself where no controller is installed.
        let mut releases = test("release", RELEASES_AT_ONCE);
        left_out.extend(watched::run(releases.env("SERIN_CONTEXT", context))?);
        left_out.push(format!("our own cluster's tests, for context {context} is used"));
        return Ok(left_out);
    }
    say("tier cluster: the rig's own tests, the filter in a mesh, then releases by the controller");
    tests.env("SERIN_ISTIO_STATS", wasm::build_istio_stats()?);
    tests.env("SERIN_REGISTRY_DEPLOYMENT", "kube-system/registry");
    // Built before the clock of anything that waits runs.
    run(cargo(["test", "--no-run", "-p", "serin-e2e-mesh", "-p", "serin-cluster"]).arg("--quiet"))?;
    watched::run(&mut cargo(["test", "-p", "serin-cluster", "--test", "rig"]))?;
    let tested = on_our_own(tests);
    if args.keep {
        say(&format!("`cargo xtask cluster down --name {NAME}` takes the cluster away"));
        return tested;
    }
    // Also after a failure or a signal, which ends what was watched and comes back as an error.
    let taken_away = watched::run_anyway(&mut rig(NAME, ["down"]));
    tested.and_then(|left_out| taken_away.map(|_| left_out))
}

fn on_our_own(mut tests: Command) -> Result<Vec<String>> {
    watched::run(&mut rig(NAME, ["up"]))?;
    let variables = environment(NAME)?;
    let mut left_out = watched::run(tests.envs(variables.clone()))?;
    // Not before: the tests of the filter have the mesh to themselves.
    watched::run(&mut rig(NAME, ["install", "--flagger"]))?;
    left_out.extend(watched::run(test("release", RELEASES_AT_ONCE).envs(variables))?);
    Ok(left_out)
}

fn test(name: &str, at_once: &str) -> Command {
    cargo(["test", "-p", "serin-e2e-mesh", "--test", name, "--", at_once, "--nocapture"])
}
