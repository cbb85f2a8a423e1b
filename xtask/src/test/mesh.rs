//! The cluster tier: the rig's own tests, then the filter in a mesh, on a cluster that is made for it and taken away,
//! or on one that the caller names.

use std::process::Command;

use anyhow::{Context, Result};

use super::Args;
use crate::{
    run::{cargo, output, run, say},
    wasm,
};

/// Tests that run at once: the machine has few cores, and each brings pods. One or two of them wait to be alone.
const AT_ONCE: &str = "--test-threads=4";

/// Runs the tier.
pub(super) fn run_cluster(args: &Args) -> Result<()> {
    let module = wasm::build()?;
    let mut tests = cargo(["test", "-p", "serin-e2e-mesh", "--test", "mesh"]);
    tests.args(["--", AT_ONCE, "--nocapture"]).env("SERIN_MODULE", module);
    if let Some(context) = &args.context {
        say(&format!(
            "tier cluster: the mesh of context {context}; the rig's own tests are LEFT OUT"
        ));
        return run(tests.env("SERIN_CONTEXT", context));
    }
    say("tier cluster: the rig's own tests, then the filter in a mesh");
    tests.env("SERIN_ISTIO_STATS", wasm::build_istio_stats()?);
    tests.env("SERIN_REGISTRY_DEPLOYMENT", "kube-system/registry");
    // Built before the clock of anything that waits runs.
    run(cargo(["test", "--no-run", "-p", "serin-e2e-mesh", "-p", "serin-cluster"]).arg("--quiet"))?;
    run(&mut cargo(["test", "-p", "serin-cluster", "--test", "rig"]))?;
    run(&mut rig(["up"]))?;
    let tested = environment().and_then(|variables| run(tests.envs(variables)));
    if args.keep {
        say("the cluster is left running; `cargo xtask cluster down` takes it away");
        return tested;
    }
    let taken_away = run(&mut rig(["down"]));
    tested.and(taken_away)
}

fn rig<const N: usize>(arguments: [&str; N]) -> Command {
    let mut command = cargo(["run", "--quiet", "-p", "serin-cluster", "--"]);
    command.args(arguments);
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
