//! The cluster tier: the rig's own tests, then the filter in a mesh, then releases by the controller, on a cluster that
//! is made for it and taken away, or on one that the caller names.

use std::process::Command;

use anyhow::{Context, Result};

use super::Args;
use crate::{
    run::{cargo, output, run, say},
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
    let taken_away = watched::run_anyway(&mut rig(["down"]));
    tested.and_then(|left_out| taken_away.map(|_| left_out))
}

fn on_our_own(mut tests: Command) -> Result<Vec<String>> {
    watched::run(&mut rig(["up"]))?;
    let variables = environment()?;
    let mut left_out = watched::run(tests.envs(variables.clone()))?;
    // Not before: the tests of the filter have the mesh to themselves.
    watched::run(&mut rig(["install", "--flagger"]))?;
    left_out.extend(watched::run(test("release", RELEASES_AT_ONCE).envs(variables))?);
    Ok(left_out)
}

fn test(name: &str, at_once: &str) -> Command {
    cargo(["test", "-p", "serin-e2e-mesh", "--test", name, "--", at_once, "--nocapture"])
}

fn rig<const N: usize>(arguments: [&str; N]) -> Command {
    let mut command = cargo(["run", "--quiet", "-p", "serin-cluster", "--"]);
    command.args(["--name", NAME]).args(arguments);
    command
}

/// What the rig tells a shell.
fn environment() -> Result<Vec<(String, String)>> {
    let lines = output(&mut rig(["env"])).context("the cluster does not say where it is")?;
    Ok(lines.lines().filter_map(variable).collect())
}

/// `export NAME=value`, the value quoted or not. Only a shell can read one that names another variable, as `PATH` does.
fn variable(line: &str) -> Option<(String, String)> {
    let (name, value) = line.trim().strip_prefix("export ")?.split_once('=')?;
    let value = value.trim_matches(['\'', '"']);
    (!value.contains('$')).then(|| (name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_as_a_shell_would() {
        let read = |line| variable(line).map(|(name, value)| format!("{name}={value}"));
        assert_eq!(read("export A=b"), Some("A=b".to_owned()));
        assert_eq!(read("export A='b c'"), Some("A=b c".to_owned()));
        assert_eq!(read("export PATH=\"$PATH:/elsewhere\""), None);
        assert_eq!(read("# to enter: nsenter --net=/run/netns/x"), None);
    }
}
