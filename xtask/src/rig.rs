//! Clusters of the rig for other chores, by the program of its own crate.

use std::process::Command;

use anyhow::{Context, Result};

use crate::run::{cargo, output};

/// A command of the rig, for one of its clusters.
pub(crate) fn rig<const N: usize>(cluster: &str, arguments: [&str; N]) -> Command {
    let mut command = cargo(["run", "--quiet", "-p", "serin-cluster", "--"]);
    command.args(["--name", cluster]).args(arguments);
    command
}

/// What the rig tells a shell of a cluster.
pub(crate) fn environment(cluster: &str) -> Result<Vec<(String, String)>> {
    let lines =
        output(&mut rig(cluster, ["env"])).context("the cluster does not say where it is")?;
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
