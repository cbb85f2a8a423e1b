//! What a tier needs of the machine.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::Tier;
use crate::run::{output, root as workspace};

/// Programs and the Debian packages that bring them.
const OF_APISERVER: [(&str, &str); 2] = [("etcd", "etcd-server"), ("setpriv", "util-linux")];
const OF_CLUSTER: [(&str, &str); 7] = [
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
    ("iptables", "iptables"),
    ("ip", "iproute2"),
    ("docker-registry", "docker-registry"),
    ("debootstrap", "debootstrap"),
];
/// The module that demands the newest Go.
const MODULE: &str = "e2e/cluster/istio";

/// Why a tier cannot run here, if so. On a cluster that is there already, the cluster tier needs little of this
/// machine.
pub(crate) fn obstacle(tier: Tier, with_context: bool) -> Option<String> {
    match tier {
        Tier::Unit | Tier::Module | Tier::Envoy => None,
        Tier::Cluster if with_context => None,
        Tier::Apiserver => linux().or_else(go).or_else(|| packages(&OF_APISERVER)),
        Tier::Cluster => linux()
            .or_else(root)
            .or_else(namespaces)
            .or_else(go)
            .or_else(|| packages(&OF_APISERVER))
            .or_else(|| packages(&OF_CLUSTER)),
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

/// Go itself says whether it may build the module that demands most of it; from 1.21 on it fetches a newer one.
fn go() -> Option<String> {
    let go_mod = std::fs::read_to_string(workspace().join(MODULE).join("go.mod")).ok()?;
    let demanded = go_mod.lines().find_map(|line| line.strip_prefix("go "))?.to_owned();
    let wanted = format!(
        "Kubernetes and Istio are built from source, which needs Go {demanded} or newer ({MODULE}/go.mod)"
    );
    if find("go").is_none() {
        return Some(format!("{wanted}, and there is no `go` on the PATH"));
    }
    let mut list = Command::new("go");
    list.args(["list", "-m"]).current_dir(workspace().join(MODULE)).env("GOWORK", "off");
    let refused = output(&mut list).err()?;
    Some(format!("{wanted}, and this machine's refuses: {refused:#}"))
}

/// Missing programs, where the rig may not install them.
fn packages(wanted: &[(&str, &str)]) -> Option<String> {
    let missing: Vec<&str> =
        wanted.iter().filter(|(program, _)| find(program).is_none()).map(|it| it.1).collect();
    let may_install = root().is_none() && find("apt-get").is_some();
    (!missing.is_empty() && !may_install).then(|| {
        let list = missing.join(" ");
        format!("programs are missing: as root, `apt-get install --no-install-recommends {list}`")
    })
}

/// On the PATH, or where root's programs are; a whole path names itself.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(more).map(|it| it.join(program)).find(|it| it.is_file())
}
