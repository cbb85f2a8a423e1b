//! The command lines of etcd, the API server, the controller manager and the scheduler, for a cluster and for the
//! lowest tier alike.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    pki::Pki,
    place::{POD_RANGE, SERVICE_RANGE},
    programs::ControlPlane,
};

/// Where a control plane listens, keeps its data and finds its keys.
pub(crate) struct Layout {
    pub(crate) pki: Pki,
    pub(crate) data: PathBuf,
    pub(crate) ports: Ports,
    /// What the API server listens at and tells its clients inside.
    pub(crate) network: Network,
}

#[derive(Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) etcd: u16,
    pub(crate) etcd_peer: u16,
    pub(crate) api: u16,
    pub(crate) controller_manager: u16,
}

/// Who is to reach the API server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    /// Programs of this machine only, by loopback.
    Loopback,
    /// Pods too, at the node's address and the service's.
    Node(&'static str),
}

pub(crate) fn etcd(programs: &ControlPlane, layout: &Layout) -> Command {
    let client = format!("http://127.0.0.1:{}", layout.ports.etcd);
    let peer = format!("http://127.0.0.1:{}", layout.ports.etcd_peer);
    let mut command = Command::new(&programs.etcd);
    command
        .arg("--data-dir")
        .arg(layout.data.join("etcd"))
        .arg(format!("--listen-client-urls={client}"))
        .arg(format!("--advertise-client-urls={client}"))
        .arg(format!("--listen-peer-urls={peer}"))
        .arg(format!("--initial-advertise-peer-urls={peer}"))
        .arg(format!("--initial-cluster=default={peer}"))
        // Data that no one misses after the machine goes down.
        .arg("--unsafe-no-fsync");
    command
}

pub(crate) fn apiserver(programs: &ControlPlane, layout: &Layout) -> Command {
    let pki = &layout.pki;
    let mut command = Command::new(&programs.kube_apiserver);
    command
        .arg(format!("--etcd-servers=http://127.0.0.1:{}", layout.ports.etcd))
        .arg(format!("--secure-port={}", layout.ports.api))
        .arg(format!("--service-cluster-ip-range={SERVICE_RANGE}"))
        .arg("--service-account-issuer=https://kubernetes.default.svc.cluster.local")
        .args(["--authorization-mode=Node,RBAC", "--allow-privileged"])
        .args(["--enable-admission-plugins=NodeRestriction", "--profiling=false"])
        .arg("--kubelet-preferred-address-types=InternalIP")
        .args(["--enable-aggregator-routing", "--requestheader-allowed-names=front-proxy-client"])
        .arg("--requestheader-extra-headers-prefix=X-Remote-Extra-")
        .arg("--requestheader-group-headers=X-Remote-Group")
        .arg("--requestheader-username-headers=X-Remote-User");
    for (flag, file) in [
        ("client-ca-file", "ca.crt"),
        ("tls-cert-file", "apiserver.crt"),
        ("tls-private-key-file", "apiserver.key"),
        ("service-account-key-file", "accounts.pub"),
        ("service-account-signing-key-file", "accounts.key"),
        ("kubelet-certificate-authority", "ca.crt"),
        ("kubelet-client-certificate", "kubelet-client.crt"),
        ("kubelet-client-key", "kubelet-client.key"),
        ("requestheader-client-ca-file", "front-proxy-ca.crt"),
        ("proxy-client-cert-file", "front-proxy.crt"),
        ("proxy-client-key-file", "front-proxy.key"),
    ] {
        command.arg(format!("--{flag}={}", pki.path(file).display()));
    }
    match layout.network {
        // Nobody asks for the service of an API server without pods, and it must not name a loopback address.
        Network::Loopback => command
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
            .arg("--endpoint-reconciler-type=none"),
        Network::Node(address) => command.arg(format!("--advertise-address={address}")),
    };
    command
}

pub(crate) fn controller_manager(
    programs: &ControlPlane,
    layout: &Layout,
    kubeconfig: &Path,
) -> Command {
    let pki = &layout.pki;
    let mut command = Command::new(&programs.kube_controller_manager);
    command
        .args(["--bind-address=127.0.0.1", "--leader-elect=false", "--profiling=false"])
        .args(["--use-service-account-credentials", "--allocate-node-cidrs"])
        // Two seconds after the metrics came is soon enough for a test of an autoscaler, fifteen are not.
        .arg("--horizontal-pod-autoscaler-sync-period=2s")
        .arg(format!("--secure-port={}", layout.ports.controller_manager))
        .arg(format!("--cluster-cidr={POD_RANGE}"))
        .arg(format!("--service-cluster-ip-range={SERVICE_RANGE}"));
    for (flag, path) in [
        ("kubeconfig", kubeconfig.to_owned()),
        ("authentication-kubeconfig", kubeconfig.to_owned()),
        ("authorization-kubeconfig", kubeconfig.to_owned()),
        ("root-ca-file", pki.path("ca.crt")),
        ("service-account-private-key-file", pki.path("accounts.key")),
        ("cluster-signing-cert-file", pki.path("ca.crt")),
        ("cluster-signing-key-file", pki.path("ca.key")),
    ] {
        command.arg(format!("--{flag}={}", path.display()));
    }
    command
}

pub(crate) fn scheduler(program: &Path, kubeconfig: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["--bind-address=127.0.0.1", "--leader-elect=false", "--profiling=false"]);
    for flag in ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"] {
        command.arg(format!("--{flag}={}", kubeconfig.display()));
    }
    command
}
