//! Kubeconfigs, which name their certificates by path.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::json;

use crate::pki::{Client, Pki};

/// Writes the kubeconfig of a client for the API server at that URL, and returns its path.
pub(crate) fn write(path: &Path, pki: &Pki, client: Client, server: &str) -> Result<PathBuf> {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "serin",
        "clusters": [{"name": "serin", "cluster": {
            "server": server,
            "certificate-authority": pki.path("ca.crt"),
        }}],
        "users": [{"name": client.name, "user": {
            "client-certificate": pki.path(&format!("{}.crt", client.name)),
            "client-key": pki.path(&format!("{}.key", client.name)),
        }}],
        "contexts": [{"name": "serin", "context": {"cluster": "serin", "user": client.name}}],
    });
    // JSON is YAML.
    fs::write(path, format!("{config:#}\n"))
        .with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(path.to_owned())
}
