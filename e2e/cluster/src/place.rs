//! What belongs to a cluster of a name: its directories, its namespace, its cgroup; and the addresses inside, which are
//! the same in every cluster because each has a network of its own.

use std::{fs, path::PathBuf};

use anyhow::{Result, ensure};

/// The only node.
pub const NODE: &str = "node";
/// The node's address, on the bridge inside the namespace.
pub const NODE_ADDRESS: &str = "10.200.0.1";
/// The service addresses.
pub const SERVICE_RANGE: &str = "10.96.0.0/16";
/// The API server's service.
pub const API_SERVICE: &str = "10.96.0.1";
/// Cluster DNS.
pub const DNS_SERVICE: &str = "10.96.0.10";
/// The pods' addresses.
pub const POD_RANGE: &str = "10.244.0.0/16";
/// The node's share of them.
pub const NODE_POD_RANGE: &str = "10.244.0.0/24";
/// The API server at the node's address.
pub const API_PORT: u16 = 6443;
/// The ingress gateway's HTTP port: a node port.
pub const GATEWAY_PORT: u16 = 30080;
/// The OCI registry at the node's address, for pods and the node alike.
pub const REGISTRY_PORT: u16 = 5000;
/// Prometheus: a node port.
pub const PROMETHEUS_PORT: u16 = 30090;

/// Where each running cluster has a directory of its name.
pub(crate) const RUN: &str = "/run/serin-cluster";
/// In the environment of every process of a cluster, so that it is found when all records are gone.
pub(crate) const MARK: &str = "SERIN_CLUSTER_NAME";
/// In the environment of what an `up` runs to its end, such as a build: nobody wants it once that `up` was killed.
pub(crate) const TOOL_MARK: &str = "SERIN_CLUSTER_UP";

/// The names of all clusters that have a directory here.
pub(crate) fn names() -> Vec<String> {
    let entries = fs::read_dir(RUN).into_iter().flatten().flatten();
    let directories = entries.filter(|it| it.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut names: Vec<String> =
        directories.filter_map(|it| it.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// A cluster's name and all that is derived from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    name: String,
}

impl Place {
    /// The name becomes part of paths, of a namespace and of a cgroup, and sockets' paths are short.
    pub fn new(name: &str) -> Result<Self> {
        let plain = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
        ensure!(
            !name.is_empty() && name.len() <= 20 && name.chars().all(plain),
            "a cluster's name has 1 to 20 characters of a-z, 0-9 and -; not {name:?}"
        );
        Ok(Self { name: name.to_owned() })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The namespace's name and the cgroup's: long, so that nobody else's is taken for ours.
    pub fn long_name(&self) -> String {
        format!("serin-cluster-{}", self.name)
    }

    /// The network namespace, as iproute2 pins it.
    pub fn namespace(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(self.long_name())
    }

    /// Records, logs, keys, sockets and data of the running cluster.
    pub fn run(&self) -> PathBuf {
        PathBuf::from(RUN).join(&self.name)
    }

    pub(crate) fn log(&self, part: &str) -> PathBuf {
        self.run().join("logs").join(format!("{part}.log"))
    }

    pub(crate) fn records(&self) -> PathBuf {
        self.run().join("processes")
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.run().join("kubeconfig")
    }

    /// containerd's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.run().join("containerd/containerd.sock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside_their_directory() {
        assert!(Place::new("serin").is_ok());
        for bad in ["", "..", "a/b", "A", "a b", "a-name-that-is-much-too-long"] {
            assert!(Place::new(bad).is_err(), "{bad:?}");
        }
    }
}
