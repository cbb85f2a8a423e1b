//! Kubeconfigs, which name their certificates by path.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::json;

use crate::pki::{Client, Pki};

/// Writes the kubeconfig of a client for the API server of that name at that URL, and returns its path. The names in it
/// carry the cluster's, so that several files can be merged or joined in `KUBECONFIG`.
pub(crate) fn write(
    path: &Path,
    name: &str,
    pki: &Pki,
    client: Client,
    server: &str,
) -> Result<PathBuf> {
    let user = format!("{name}-{}", client.name);
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {
            "server": server,
            "certificate-authority": pki.path("ca.crt"),
        }}],
        "users": [{"name": user, "user": {
            "client-certificate": pki.path(&format!("{}.crt", client.name)),
            "client-key": pki.path(&format!("{}.key", client.name)),
        }}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
    });
    // JSON is YAML.
    fs::write(path, format!("{config:#}\n"))
        .with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(path.to_owned())
}
