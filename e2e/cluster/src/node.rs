//! containerd, kubelet and kube-proxy: their configuration and command lines.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{
    images, kubeconfig,
    pki::{self, Pki},
    place::{API_PORT, DNS_SERVICE, NODE, NODE_ADDRESS, NODE_POD_RANGE, POD_RANGE, Place},
    programs::Node,
};

const CONTAINERD_CONFIG: &str = "containerd/config.toml";

/// Writes containerd's configuration for that root directory, and the pods' network; returns its command.
pub(crate) fn containerd(programs: &Node, place: &Place, root: &Path) -> Result<Command> {
    let directory = place.run().join("containerd");
    let networks = directory.join("cni");
    fs::create_dir_all(&networks)?;
    write(&networks.join("10-pods.conflist"), &format!("{:#}", network(place)))?;
    let config = place.run().join(CONTAINERD_CONFIG);
    let text = containerd_config(root, &directory) + &cri(programs, &directory, &networks);
    write(&config, &text)?;
    let mut command = Command::new(&programs.containerd);
    command.arg("--config").arg(config);
    Ok(command)
}

/// What every containerd of ours is told, the one that only imports images too.
pub(crate) fn containerd_config(root: &Path, directory: &Path) -> String {
    format!(
        r#"version = 2
root = {root}
state = {state}
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
address = {socket}
"#,
        root = quoted(root),
        state = quoted(&directory.join("state")),
        socket = quoted(&directory.join("containerd.sock")),
    )
}

/// The root directory that a cluster's containerd was told, as long as its configuration is there.
pub(crate) fn configured_root(place: &Place) -> Option<PathBuf> {
    let text = fs::read_to_string(place.run().join(CONTAINERD_CONFIG)).ok()?;
    // What we quote for TOML reads as JSON, too.
    let root: String =
        text.lines().find_map(|line| serde_json::from_str(line.strip_prefix("root = ")?).ok())?;
    Some(root.into())
}

/// The kubelet's side of it. `restrict_oom_score_adj`: in a container that may not raise its own priority, runc would
/// die of it. Everything that defaults to a place shared by all containerds is moved below our directory.
fn cri(programs: &Node, directory: &Path, networks: &Path) -> String {
    let cri = r#"plugins."io.containerd.grpc.v1.cri""#;
    format!(
        r#"
[{cri}]
sandbox_image = {pause:?}
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true

[{cri}.cni]
bin_dir = {plugins}
conf_dir = {networks}

[{cri}.containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"

[{cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[{cri}.containerd.runtimes.runc.options]
BinaryName = {runc}
Root = {state}
"#,
        pause = images::PAUSE,
        plugins = quoted(&programs.cni_dir),
        networks = quoted(networks),
        runc = quoted(&programs.runc),
        state = quoted(&directory.join("runc")),
    )
}

/// A path as a TOML string.
fn quoted(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}

fn network(place: &Place) -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": place.long_name(),
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": true,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "dataDir": place.run().join("addresses"),
                    "ranges": [[{"subnet": NODE_POD_RANGE}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

/// Writes the kubelet's configuration; returns its command.
pub(crate) fn kubelet(programs: &Node, place: &Place, pki: &Pki) -> Result<Command> {
    let directory = place.run().join("kubelet");
    fs::create_dir_all(&directory)?;
    let config = place.run().join("kubelet.json");
    write(&config, &format!("{:#}", kubelet_config(place, pki)))?;
    let mut command = Command::new(&programs.kubelet);
    command
        .arg(format!("--config={}", config.display()))
        .arg(format!("--kubeconfig={}", inner(place, pki, pki::KUBELET)?.display()))
        .arg(format!("--root-dir={}", directory.display()))
        .arg(format!("--cert-dir={}", directory.join("pki").display()))
        .args([format!("--hostname-override={NODE}"), format!("--node-ip={NODE_ADDRESS}")]);
    Ok(command)
}

fn kubelet_config(place: &Place, pki: &Pki) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": format!("unix://{}", place.socket().display()),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", place.long_name()),
        "failCgroupV1": false,
        "failSwapOn": false,
        "oomScoreAdj": 0,
        "enforceNodeAllocatable": [],
        // The disk is shared with everything else that this machine does, so it is nobody's measure.
        "evictionHard": {"memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
        "resolvConf": "",
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "podLogsDir": place.run().join("pods"),
        "volumePluginDir": place.run().join("volume-plugins"),
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": pki.path("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": pki.path("kubelet-server.crt"),
        "tlsPrivateKeyFile": pki.path("kubelet-server.key"),
        "serializeImagePulls": false,
        // A fourth of it is the heart's beat, which whoever waits for a mended node waits for.
        "nodeLeaseDurationSeconds": 8,
        "eventRecordQPS": 0,
    })
}

/// Writes kube-proxy's configuration; returns its command.
pub(crate) fn kube_proxy(programs: &Node, place: &Place, pki: &Pki) -> Result<Command> {
    let config = place.run().join("kube-proxy.json");
    let settings = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clusterCIDR": POD_RANGE,
        "hostnameOverride": NODE,
        "oomScoreAdj": 0,
        "clientConnection": {"kubeconfig": inner(place, pki, pki::PROXY)?},
        // The table of connections is the machine's, whose limits are not ours to set.
        "conntrack": {
            "maxPerCore": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
        // A change is written within a tenth of a second, not after one.
        "iptables": {"minSyncPeriod": "100ms"},
    });
    write(&config, &format!("{settings:#}"))?;
    let mut command = Command::new(&programs.kube_proxy);
    command.arg(format!("--config={}", config.display()));
    Ok(command)
}

/// A kubeconfig for a part that runs inside.
pub(crate) fn inner(place: &Place, pki: &Pki, client: pki::Client) -> Result<PathBuf> {
    let path = place.run().join(format!("{}.kubeconfig", client.name));
    kubeconfig::write(&path, place.name(), pki, client, &format!("https://127.0.0.1:{API_PORT}"))
}

/// Where root's programs are, which the parts call and which is not on everybody's PATH.
pub(crate) fn search_path() -> String {
    let path = env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin")
}

/// Only when it says something else: kube-proxy ends when its file is written, even with the same.
fn write(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|now| now == text) {
        return Ok(());
    }
    fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}
