//! kubectl with the right kubeconfig: how the rig and its tests talk to a cluster.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

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
        let words = format!("kubectl {}", arguments.join(" "));
        let mut child = Command::new(&self.kubectl)
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} could not be started", self.kubectl.display()))?;
        let mut stdin = child.stdin.take().context("kubectl without its standard input")?;
        // kubectl reads all of its input before it says anything, so neither side can block the other. It may also
        // end without reading, which its status explains.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output()?;
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            bail!("`{words}` ended with {}: {}", output.status, error.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}
