//! The lowest tier: an API server with its etcd and controller manager on free loopback ports. It needs no root and no
//! namespace, runs beside others of its kind, and has no pods: nothing is ever scheduled.

mod children;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{
    control_plane::{self, Layout, Network, Ports},
    forward::free_ports,
    http::{self, Api},
    kubeconfig,
    pki::{ADMIN, CONTROLLER_MANAGER, Pki},
    programs::{self, ControlPlane},
    say,
};
use children::Children;

/// The name of its context.
const NAME: &str = "serin-apiserver";
const PATIENCE: Duration = Duration::from_mins(1);
/// A port that was free may be taken before it is used, when many start at once.
const ATTEMPTS: usize = 3;

/// A running API server; dropped, or killed with its owner, it leaves nothing.
pub struct ApiServer {
    // Dropped in this order: nobody writes into the directory while it is removed.
    children: Children,
    directory: TempDir,
    kubeconfig: PathBuf,
    api: Api,
}

impl ApiServer {
    /// Starts one and waits until it is ready.
    pub fn start() -> Result<Self> {
        let programs = programs::control_plane()?;
        let mut attempt = 1;
        loop {
            match Self::try_start(&programs) {
                Err(error) if attempt < ATTEMPTS => {
                    say::note(&format!("an API server did not start; once more: {error:#}"));
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// An administrator's kubeconfig, good while this lives.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The JSON at a path of the API, asked as an administrator.
    pub fn get(&self, path: &str) -> Result<serde_json::Value> {
        self.api.get(path)
    }

    /// Creates the object there.
    pub fn post(&self, path: &str, object: &serde_json::Value) -> Result<serde_json::Value> {
        self.api.post(path, object)
    }

    /// Replaces the object there.
    pub fn put(&self, path: &str, object: &serde_json::Value) -> Result<serde_json::Value> {
        self.api.put(path, object)
    }

    /// Applies the object there, server-side and by force. A field that its kind does not have is refused.
    pub fn apply(
        &self,
        path: &str,
        manager: &str,
        object: &serde_json::Value,
    ) -> Result<serde_json::Value> {
        let path = format!("{path}?fieldManager={manager}&force=true&fieldValidation=Strict");
        self.api.patch(&path, "application/apply-patch+yaml", object)
    }

    /// Merges the fields into the object there.
    pub fn merge(&self, path: &str, fields: &serde_json::Value) -> Result<serde_json::Value> {
        self.api.patch(path, "application/merge-patch+json", fields)
    }

    /// Deletes the object there.
    pub fn delete(&self, path: &str) -> Result<()> {
        self.api.delete(path)
    }

    /// The processes, etcd first.
    pub fn pids(&self) -> Vec<u32> {
        self.children.pids()
    }

    fn try_start(programs: &ControlPlane) -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("serin-apiserver-")
            .tempdir()
            .context("there is no room for temporary files")?;
        let [etcd, etcd_peer, api, controller_manager] = free_ports()?;
        let layout = Layout {
            pki: Pki::in_directory(&directory.path().join("pki"))?,
            data: directory.path().to_owned(),
            ports: Ports { etcd, etcd_peer, api, controller_manager },
            network: Network::Loopback,
        };
        let url = format!("https://127.0.0.1:{api}");
        let config = |client, file: &str| {
            kubeconfig::write(&directory.path().join(file), NAME, &layout.pki, client, &url)
        };
        let kubeconfig = config(ADMIN, "kubeconfig")?;
        let manager = config(CONTROLLER_MANAGER, "controller-manager.kubeconfig")?;
        let logs = directory.path().join("logs");
        fs::create_dir(&logs)?;
        let mut children = Children::new(&logs);
        children.start("etcd", control_plane::etcd(programs, &layout))?;
        children.start("kube-apiserver", control_plane::apiserver(programs, &layout))?;
        let api = Api::new(&layout.pki, &url)?;
        let wait = |what, children: &Children, ready: &dyn Fn() -> bool| {
            http::eventually(what, PATIENCE, ready, || children.check())
        };
        wait("the API server to be ready", &children, &|| api.ready())?;
        // It ends when it is refused what it may do only once the API server's own roles are there.
        let command = control_plane::controller_manager(programs, &layout, &manager);
        children.start("kube-controller-manager", command)?;
        let health = format!("https://127.0.0.1:{controller_manager}/healthz");
        wait("the controller manager to be healthy", &children, &|| http::healthy(&health))?;
        Ok(Self { children, directory, kubeconfig, api })
    }

    /// Where its logs are, for the reader of a failed test.
    pub fn logs(&self) -> PathBuf {
        self.directory.path().join("logs")
    }
}
