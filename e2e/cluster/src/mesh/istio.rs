//! Istio by istioctl, which carries the charts.
//!
//! Its installation takes a while, so a mark in the cluster and a look at its objects tell when there is nothing to do.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result};
use serde_json::json;

use super::ready;
use crate::{
    access::Access,
    cache, command,
    programs::{self, ISTIO},
};

pub(super) const OPERATOR: &str = include_str!("../../manifests/istio.yaml");

/// What istioctl would install, as YAML: a stream of objects, the definitions of Istio's kinds among them. For an API
/// server that has no pods, so nothing of it runs.
pub fn manifests() -> Result<String> {
    let path = manifests_file()?;
    fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))
}

/// Why it has to be installed, if it has to.
pub(super) fn lacks(access: &Access) -> Result<Option<String>> {
    match mark(access)? {
        mark if mark.is_empty() => return Ok(Some("it is not there yet".to_owned())),
        mark if mark != wanted() => return Ok(Some("another one is there".to_owned())),
        _ => {}
    }
    let file = manifests_file()?.display().to_string();
    if let Err(error) = access.kubectl(["get", "--output=name", "--filename", &file]) {
        let text = error.to_string();
        let missing = text.lines().find_map(|line| Some(line.split_once("(NotFound): ")?.1));
        return Ok(Some(missing.unwrap_or(&text).to_owned()));
    }
    ready::scaled_to_nothing(access)
}

/// Waits for istiod before it goes on to the gateway, and for that.
pub(super) fn install(access: &Access, patience: Duration) -> Result<()> {
    let mut command = Command::new(programs::mesh()?.istioctl);
    command.args(["install", "--skip-confirmation", "--filename", "-"]);
    command.arg(format!("--readiness-timeout={}s", patience.as_secs()));
    if let Err(error) = command::fed(command.env("KUBECONFIG", &access.kubeconfig), OPERATOR) {
        // What it says of itself is only what it waited for.
        let why = ready::all_unready(access).unwrap_or_else(|error| vec![format!("{error:#}")]);
        let why = why.join("\n  ");
        return Err(error.context(format!("Istio is not installed; not ready:\n  {why}\n")));
    }
    set_mark(access)
}

/// Made once for what istioctl is told.
fn manifests_file() -> Result<PathBuf> {
    let istioctl = programs::mesh()?.istioctl;
    let inputs = [OPERATOR, &istioctl.display().to_string()];
    cache::entry("istio-manifests", &inputs, |place| {
        let mut command = Command::new(&istioctl);
        let objects =
            command::fed(command.args(["manifest", "generate", "--filename", "-"]), OPERATOR)?;
        fs::write(place, objects).with_context(|| format!("{} cannot be written", place.display()))
    })
}

fn wanted() -> String {
    cache::key(&[OPERATOR, ISTIO])
}

/// The mark of what was installed to the end; empty before.
fn mark(access: &Access) -> Result<String> {
    let words = ["get", "configmap", "serin-cluster", "--namespace=kube-system"];
    let more = ["--ignore-not-found", "--output=jsonpath={.data.installed}"];
    access.kubectl(words.into_iter().chain(more))
}

fn set_mark(access: &Access) -> Result<()> {
    let mark = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": "serin-cluster", "namespace": "kube-system" },
        "data": { "installed": wanted() },
    });
    access.apply(&mark.to_string())
}
