//! The parts of a cluster: what each is called, how it is started and when it is ready.

use std::{fs, os::unix::net::UnixStream, process::Command, time::Duration};

use anyhow::{Context, Result, bail};

use crate::{
    control_plane::Ports,
    http, netns,
    node::search_path,
    place::{API_PORT, Place},
    process, say,
};

/// Longer than any part takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// The programs of a cluster, in the order in which they are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Etcd,
    Containerd,
    Apiserver,
    Kubelet,
    ControllerManager,
    Scheduler,
    Proxy,
    /// The only one that is born outside the namespace.
    Forward,
}

/// Where a control plane of a cluster listens. Each cluster has loopback for itself.
pub(crate) const PORTS: Ports =
    Ports { etcd: 2379, etcd_peer: 2380, api: API_PORT, controller_manager: 10257 };

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::Etcd,
        Self::Containerd,
        Self::Apiserver,
        Self::Kubelet,
        Self::ControllerManager,
        Self::Scheduler,
        Self::Proxy,
        Self::Forward,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Containerd => "containerd",
            Self::Apiserver => "kube-apiserver",
            Self::Kubelet => "kubelet",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Proxy => "kube-proxy",
            Self::Forward => "forward",
        }
    }

    /// Whether it is ready now. `api` is the host's port of the API server.
    pub(crate) fn ready(self, place: &Place, api: u16) -> bool {
        let page = |url: String| netns::within(place, || Ok(http::healthy(&url))).unwrap_or(false);
        let health = |scheme: &str, port: u16, path: &str| {
            page(format!("{scheme}://127.0.0.1:{port}/{path}"))
        };
        match self {
            Self::Etcd => health("http", PORTS.etcd, "health"),
            Self::Containerd => UnixStream::connect(place.socket()).is_ok(),
            Self::Apiserver => health("https", PORTS.api, "readyz"),
            Self::Kubelet => health("http", 10248, "healthz"),
            Self::ControllerManager => health("https", PORTS.controller_manager, "healthz"),
            Self::Scheduler => health("https", 10259, "healthz"),
            Self::Proxy => health("http", 10256, "healthz"),
            Self::Forward => http::listens(([127, 0, 0, 1], api).into()),
        }
    }
}

/// A program and how it is started.
pub(crate) struct Part {
    pub(crate) kind: Kind,
    pub(crate) command: Command,
}

impl Part {
    /// Starts it unless it lives; says whether it had ended.
    fn start(&self, place: &Place) -> Result<bool> {
        let name = self.kind.name();
        if process::recorded(place, name).is_some() {
            return Ok(false);
        }
        let had_ended = place.log(name).exists();
        if had_ended {
            say::note(&format!("{name} had ended; starting it again"));
        }
        let mut command = match self.kind {
            Kind::Forward => copied(&self.command),
            _ => netns::inside(place, &self.command),
        };
        process::start(place, name, command.env("PATH", search_path())).map(|_| had_ended)
    }

    /// Waits until it is ready; one that ends instead is an error with the end of its log.
    fn wait(&self, place: &Place, api: u16) -> Result<()> {
        let name = self.kind.name();
        let ready = || self.kind.ready(place, api);
        http::eventually(&format!("{name} to be ready"), PATIENCE, ready, || {
            if process::recorded(place, name).is_none() {
                bail!("{name} has ended");
            }
            Ok(())
        })
        .with_context(|| process::tail(&place.log(name)))
    }
}

fn copied(command: &Command) -> Command {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args());
    copy
}

/// Starts those that do not live, then waits for each; says whether one had ended.
pub(crate) fn up(place: &Place, api: u16, parts: &[Part]) -> Result<bool> {
    fs::create_dir_all(place.records())?;
    fs::create_dir_all(place.run().join("logs"))?;
    let mut any_had_ended = false;
    for part in parts {
        any_had_ended |= part.start(place)?;
    }
    parts.iter().try_for_each(|part| part.wait(place, api))?;
    Ok(any_had_ended)
}
