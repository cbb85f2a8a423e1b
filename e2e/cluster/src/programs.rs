//! The programs of the cluster: Go programs built once into the cache, and Debian's packages for the rest.
//!
//! Each set is asked for alone, so that a run of the lowest tier does not build a mesh.

mod debian;
mod go;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use debian::Package;
use go::{Module, Tool};

/// What the lowest tier runs: an API server and what it needs to keep its promises.
pub struct ControlPlane {
    pub etcd: PathBuf,
    pub kube_apiserver: PathBuf,
    pub kube_controller_manager: PathBuf,
}

/// What a node runs beside its control plane.
pub struct Node {
    pub kube_scheduler: PathBuf,
    pub kubelet: PathBuf,
    pub kube_proxy: PathBuf,
    pub kubectl: PathBuf,
    pub containerd: PathBuf,
    /// containerd finds it by its name on its PATH.
    pub containerd_shim: PathBuf,
    pub ctr: PathBuf,
    pub runc: PathBuf,
    /// The directory of `bridge`, `host-local`, `portmap` and `loopback`.
    pub cni_dir: PathBuf,
}

/// What installs a mesh and what runs in it.
pub struct Mesh {
    pub istioctl: PathBuf,
    pub pilot_agent: PathBuf,
    pub pilot_discovery: PathBuf,
    /// The template that pilot-agent makes Envoy's first configuration of.
    pub bootstrap: PathBuf,
}

/// What runs in pods beside the mesh.
pub struct Services {
    pub pause: PathBuf,
    pub coredns: PathBuf,
    pub metrics_server: PathBuf,
    pub prometheus: PathBuf,
    pub registry: PathBuf,
    pub podcli: PathBuf,
    /// The directory that podinfo serves its page from.
    pub podinfo_ui: PathBuf,
}

/// What Flagger's users test with.
pub struct LoadTester {
    /// Flagger's own, which answers its webhooks.
    pub loadtester: PathBuf,
    /// What it makes load with.
    pub hey: PathBuf,
}

/// The version that the cluster's API server says it is.
pub const KUBERNETES: &str = "1.34.4";
/// The version that the mesh says it is, and the tag of its images.
pub const ISTIO: &str = "1.31.0";

/// What the load tester of [`FLAGGER`] says it is, and the tag of its image in Flagger's manifests.
pub const LOAD_TESTER: &str = "0.38.0";
const FLAGGER: &str = "v1.44.0";

const PODINFO: &str = "github.com/stefanprodan/podinfo";
const PODINFO_VERSION: &str = "v1.8.1-0.20250910200901-e86405a8674e";

const KUBERNETES_MODULE: Module = Module {
    directory: "kubernetes",
    prefix: "k8s.io/kubernetes/cmd/",
    ldflags: "-s -w -X k8s.io/component-base/version.gitVersion=v1.34.4 \
              -X k8s.io/component-base/version.gitMajor=1 \
              -X k8s.io/component-base/version.gitMinor=34",
};

const ISTIO_MODULE: Module = Module {
    directory: "istio",
    prefix: "istio.io/istio/",
    ldflags: "-s -w -X istio.io/istio/pkg/version.buildVersion=1.31.0 \
              -X istio.io/istio/pkg/version.buildTag=1.31.0",
};

const COREDNS: Tool<'_> = Tool::plain("github.com/coredns/coredns", "v1.14.7");
const METRICS_SERVER: Tool<'_> =
    Tool::plain("sigs.k8s.io/metrics-server/cmd/metrics-server", "v0.9.0");
const PODCLI: Tool<'_> = Tool::plain("github.com/stefanprodan/podinfo/cmd/podcli", PODINFO_VERSION);
const FLAGGERS_TESTER: Tool<'_> = Tool::plain("github.com/fluxcd/flagger/cmd/loadtester", FLAGGER);
const HEY: Tool<'_> = Tool::plain("github.com/rakyll/hey", "v0.1.5");
/// Without the tags one dependency of another discovery is not served by every proxy.
const PROMETHEUS: Tool<'_> = Tool {
    package: "github.com/prometheus/prometheus/cmd/prometheus",
    version: "v0.316.0",
    tags: "remove_all_sd enable_kubernetes_sd",
    ldflags: go::STRIPPED,
};

const ETCD: Package = Package { program: "etcd", package: "etcd-server" };
const CONTAINERD: Package = Package { program: "containerd", package: "containerd" };
const RUNC: Package = Package { program: "runc", package: "runc" };
const PLUGINS: Package =
    Package { program: "/usr/lib/cni/bridge", package: "containernetworking-plugins" };
const IPTABLES: Package = Package { program: "iptables", package: "iptables" };
const IPROUTE: Package = Package { program: "ip", package: "iproute2" };
const REGISTRY: Package = Package { program: "docker-registry", package: "docker-registry" };
const DEBOOTSTRAP: Package = Package { program: "debootstrap", package: "debootstrap" };

/// The programs of an API server.
pub fn control_plane() -> Result<ControlPlane> {
    debian::need(&[ETCD])?;
    let built = go::build(&KUBERNETES_MODULE, &["kube-apiserver", "kube-controller-manager"])?;
    Ok(ControlPlane {
        etcd: debian::path(&ETCD)?,
        kube_apiserver: built.join("kube-apiserver"),
        kube_controller_manager: built.join("kube-controller-manager"),
    })
}

/// The programs of a node.
pub fn node() -> Result<Node> {
    debian::need(&[CONTAINERD, RUNC, PLUGINS, IPTABLES, IPROUTE])?;
    let names = ["kube-scheduler", "kubelet", "kube-proxy", "kubectl"];
    let built = go::build(&KUBERNETES_MODULE, &names)?;
    let containerd = debian::path(&CONTAINERD)?;
    let plugin = debian::path(&PLUGINS)?;
    Ok(Node {
        kube_scheduler: built.join("kube-scheduler"),
        kubelet: built.join("kubelet"),
        kube_proxy: built.join("kube-proxy"),
        kubectl: built.join("kubectl"),
        containerd_shim: containerd.with_file_name("containerd-shim-runc-v2"),
        ctr: containerd.with_file_name("ctr"),
        containerd,
        runc: debian::path(&RUNC)?,
        cni_dir: plugin.parent().context("a CNI plugin without a directory")?.to_owned(),
    })
}

/// The programs of a mesh, Envoy aside.
pub fn mesh() -> Result<Mesh> {
    let names = ["istioctl/cmd/istioctl", "pilot/cmd/pilot-agent", "pilot/cmd/pilot-discovery"];
    let built = go::build(&ISTIO_MODULE, &names)?;
    let source = go::source(&ISTIO_MODULE, "istio.io/istio")?;
    Ok(Mesh {
        istioctl: built.join("istioctl"),
        pilot_agent: built.join("pilot-agent"),
        pilot_discovery: built.join("pilot-discovery"),
        bootstrap: source.join("tools/packaging/common/envoy_bootstrap.json"),
    })
}

/// The programs that run in pods.
pub fn services() -> Result<Services> {
    debian::need(&[REGISTRY])?;
    Ok(Services {
        pause: go::build_file(Path::new("pause/main.go"))?,
        coredns: go::install(&COREDNS, COREDNS.version)?,
        metrics_server: go::install(&METRICS_SERVER, METRICS_SERVER.version)?,
        prometheus: go::install(&PROMETHEUS, PROMETHEUS.version)?,
        registry: debian::path(&REGISTRY)?,
        podcli: go::install(&PODCLI, PODCLI.version)?,
        podinfo_ui: go::download(PODINFO, PODINFO_VERSION)?.join("ui"),
    })
}

/// The load tester, and what it runs.
pub fn load_tester() -> Result<LoadTester> {
    Ok(LoadTester {
        loadtester: go::install(&FLAGGERS_TESTER, FLAGGERS_TESTER.version)?,
        hey: go::install(&HEY, HEY.version)?,
    })
}

/// A podinfo that says it is of that version. Only the last link differs between two of them.
pub fn podinfo(version: &str) -> Result<PathBuf> {
    let ldflags = format!("{} -X {PODINFO}/pkg/version.VERSION={version}", go::STRIPPED);
    let tool = Tool {
        package: "github.com/stefanprodan/podinfo/cmd/podinfo",
        version: PODINFO_VERSION,
        tags: "",
        ldflags: &ldflags,
    };
    go::install(&tool, version)
}

/// The program that makes a root file system.
pub(crate) fn debootstrap() -> Result<PathBuf> {
    debian::need(&[DEBOOTSTRAP])?;
    debian::path(&DEBOOTSTRAP)
}
