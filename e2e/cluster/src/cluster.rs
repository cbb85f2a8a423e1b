//! A cluster of a name: up, down, and what a person asks in between.

mod down;
mod state;
mod status;
mod up;

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::PathBuf,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    access::Access, forward::TARGETS, lock, machine, mesh, part::Kind, place::Place, process, say,
    store,
};
pub use status::Status;

/// The name of the cluster that is meant when no name is given.
pub const DEFAULT: &str = "serin";

/// How much of a cluster is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// A node that runs pods.
    Node,
    /// Also what lives in pods: DNS, metrics, Istio, the registry, Prometheus.
    Mesh,
}

/// A cluster, running or not.
#[derive(Clone, Debug)]
pub struct Cluster {
    place: Place,
}

impl Cluster {
    /// The cluster of that name.
    pub fn named(name: &str) -> Result<Self> {
        Ok(Self { place: Place::new(name)? })
    }

    /// Starts what does not run and waits until all is ready. `program` is this program, for the part of it that
    /// forwards ports.
    pub fn up(&self, extent: Extent, program: &std::path::Path) -> Result<()> {
        require_root()?;
        let _lock = self.lock()?;
        let outcome = up::up(self, extent, program);
        if !self.place.run().exists() {
            let _ = fs::remove_file(self.lock_path());
        }
        outcome
    }

    /// The last act of an `up` that a signal ends: what it changed of the machine is as before.
    pub fn interrupted(&self) {
        // A kubelet that has just begun would change it once more. The next `up` starts another.
        let kubelet = process::recorded(&self.place, Kind::Kubelet.name());
        if let Some(kubelet) = kubelet.filter(|_| machine::is_open()) {
            kubelet.end();
        }
        machine::put_back();
        let [up, down] = ["up", "down"].map(|it| self.command(it));
        say::note(&format!("interrupted; `{up}` goes on, `{down}` removes"));
    }

    /// Leaves nothing of it.
    pub fn down(&self) -> Result<()> {
        require_root()?;
        let lock = self.lock()?;
        down::say_if_absent(&self.place);
        say::part("down", || down::down(self))?;
        // While it is held: whoever waits for it sees that the name is gone, and makes another.
        let _ = fs::remove_file(self.lock_path());
        drop(lock);
        Ok(())
    }

    /// A table of the parts, and what is missing.
    pub fn status(&self) -> Result<Status> {
        // Whoever may not enter the namespace would see nothing ready.
        require_root()?;
        status::of(self)
    }

    /// Lines for a shell.
    pub fn env(&self) -> Result<String> {
        status::env(self)
    }

    /// kubectl for it.
    pub fn access(&self) -> Result<Access> {
        Ok(Access { kubectl: self.state()?.kubectl, kubeconfig: self.place.kubeconfig() })
    }

    /// The host's address of a forwarded port: `api`, `gateway`, `registry` or `prometheus`.
    pub fn address(&self, target: &str) -> Result<SocketAddr> {
        let index = TARGETS
            .iter()
            .position(|(name, _)| *name == target)
            .with_context(|| format!("nothing named {target} is forwarded"))?;
        Ok(SocketAddr::from(([127, 0, 0, 1], self.state()?.ports[index])))
    }

    /// Gives an image to the node: an OCI archive, as a file.
    pub fn load(&self, archive: &std::path::Path) -> Result<()> {
        require_root()?;
        let (ctr, shown) = (self.state()?.ctr, archive.display());
        ensure!(archive.exists(), "there is no file {shown}");
        let loaded = say::part(&format!("loading {shown}"), || {
            store::import(&ctr, &self.place.socket(), archive)
        });
        let wanted = "a tar with an index.json (OCI) or a manifest.json (docker save)";
        loaded.map_err(|error| {
            if store::is_archive(archive) {
                return error;
            }
            error.context(format!("{shown} seems to be no archive of an image: {wanted}"))
        })
    }

    /// Where the log of a part is.
    pub fn log(&self, part: &str) -> Result<PathBuf> {
        let path = self.place.log(part);
        if path.is_file() {
            return Ok(path);
        }
        let logs = self.logs();
        if logs.is_empty() {
            return Err(self.is_absent());
        }
        if let Some(pods) = mesh::logs(part) {
            let env = self.command("env");
            bail!("{part} runs in a pod: with `eval \"$({env})\"`, `{pods}` is its log");
        }
        bail!("there is no log of {part}; there are: {}", logs.join(", "))
    }

    fn logs(&self) -> Vec<String> {
        let entries = fs::read_dir(self.place.run().join("logs")).into_iter().flatten().flatten();
        let name = |entry: fs::DirEntry| {
            entry.file_name().to_str()?.strip_suffix(".log").map(str::to_owned)
        };
        let mut names: Vec<String> = entries.filter_map(name).collect();
        names.sort();
        names
    }

    /// What a person types for it.
    pub fn command(&self, words: &str) -> String {
        match self.place.name() {
            DEFAULT => format!("cargo xtask cluster {words}"),
            name => format!("cargo xtask cluster {words} --name {name}"),
        }
    }

    /// One `up` or `down` of a name at a time; the second waits.
    fn lock(&self) -> Result<File> {
        let path = self.lock_path();
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        lock::hold(&path, &format!("another command works on cluster {:?}", self.place.name()))
    }

    fn lock_path(&self) -> PathBuf {
        self.place.run().with_extension("lock")
    }
}

fn require_root() -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "a cluster needs root, for its network namespace, cgroups and mounts; \
         `cargo xtask cluster apiserver` works without"
    );
    Ok(())
}
