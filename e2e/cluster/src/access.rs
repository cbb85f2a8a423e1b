//! kubectl with the right kubeconfig: how the rig and its tests talk to a cluster.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::command;

/// A kubectl and the cluster that it is to talk to.
#[derive(Clone, Debug)]
pub struct Access {
    pub kubectl: PathBuf,
    pub kubeconfig: PathBuf,
}

impl Access {
    /// Runs kubectl and returns what it printed.
    pub fn kubectl<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<String> {
        self.run(&arguments.into_iter().collect::<Vec<_>>(), "")
    }

    /// Applies YAML, server-side, so that large CRDs fit and a second time changes nothing.
    pub fn apply(&self, yaml: &str) -> Result<()> {
        let words = ["apply", "--server-side", "--force-conflicts", "--filename", "-"];
        self.run(&words, yaml).map(drop)
    }

    fn run(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut kubectl = Command::new(&self.kubectl);
        command::fed(kubectl.args(arguments).env("KUBECONFIG", &self.kubeconfig), input)
    }
}
