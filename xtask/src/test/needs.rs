//! What a tier needs of the machine.

use std::{path::Path, process::Command};

use super::Tier;
use crate::run::output;

/// Why a tier cannot run here, if so. On a cluster that is there already, the cluster tier needs little of this
/// machine.
pub(super) fn obstacle(tier: Tier, with_context: bool) -> Option<String> {
    match tier {
        Tier::Unit | Tier::Module | Tier::Envoy => None,
        Tier::Cluster if with_context => None,
        Tier::Apiserver => linux().or_else(go),
        Tier::Cluster => linux().or_else(root).or_else(namespaces).or_else(go),
    }
}

fn linux() -> Option<String> {
    let here = std::env::consts::OS;
    (here != "linux").then(|| format!("Kubernetes' own programs run on Linux, and this is {here}"))
}

/// Who made this process's own entry is who it runs as.
fn root() -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let user = std::fs::metadata("/proc/self").map(|meta| meta.uid());
    match user {
        Ok(0) => None,
        _ => Some("it makes a network namespace, cgroups and mounts, so it needs root".to_owned()),
    }
}

fn namespaces() -> Option<String> {
    let is_there = Path::new("/proc/self/ns/net").exists();
    (!is_there).then(|| "this kernel has no network namespaces".to_owned())
}

fn go() -> Option<String> {
    let found = output(Command::new("go").arg("version"));
    found.err().map(|_| {
        "Kubernetes and Istio are built from source, and there is no `go`: install Go 1.26 or newer".to_owned()
    })
}
