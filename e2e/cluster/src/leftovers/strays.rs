//! The few files that programs keep where no setting moves them: what CNI remembers of each pod, sockets of shims,
//! links to logs. Other clusters, and other containerds, have theirs in the same directories.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::entries;
use crate::{cache::hex, place::Place};

/// What CNI remembers: `NETWORK-CONTAINER-INTERFACE`.
const RESULTS: &str = "/var/lib/cni/results";
/// A shim's socket is there by a digest, wherever its containerd is.
const SOCKETS: &str = "/run/containerd/s";
const LINKS: &str = "/var/log/containers";

pub(crate) fn remove(place: &Place) {
    let containers = containers(place);
    for socket in sockets(place, &containers) {
        let _ = fs::remove_file(socket);
    }
    for result in entries(RESULTS) {
        let is_ours = name(&result).is_some_and(|name| {
            // The second network is every containerd's, so only the container says whose it is.
            let container = of_network(&name, "cni-loopback");
            of_network(&name, &place.long_name()).is_some()
                || container.is_some_and(|it| containers.contains(it))
        });
        if is_ours {
            let _ = fs::remove_file(result);
        }
    }
    for link in entries(LINKS) {
        if fs::read_link(&link).is_ok_and(|target| target.starts_with(place.run())) {
            let _ = fs::remove_file(link);
        }
    }
}

/// Every container that the cluster ever had, as far as that is known: by the log, by the bundles of those that run,
/// and, if all that is gone, by what CNI remembers of our own network.
fn containers(place: &Place) -> BTreeSet<String> {
    let log = fs::read(place.log("containerd")).unwrap_or_default();
    let mut containers = named_in(&String::from_utf8_lossy(&log));
    containers.extend(bundles(place).iter().filter_map(|it| name(it)));
    let results = entries(RESULTS).into_iter().filter_map(|it| name(&it));
    containers
        .extend(results.filter_map(|it| of_network(&it, &place.long_name()).map(str::to_owned)));
    containers
}

/// The container of a result, if it is of that network; another network's name may begin like it.
fn of_network<'r>(result: &'r str, network: &str) -> Option<&'r str> {
    let (container, _interface) =
        result.strip_prefix(network)?.strip_prefix('-')?.split_once('-')?;
    is_container(container).then_some(container)
}

/// Words that can be a container's id; digests of images are as long, and name nothing here.
fn named_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|it: char| !it.is_ascii_alphanumeric());
    words.filter(|it| is_container(it)).map(str::to_owned).collect()
}

fn is_container(word: &str) -> bool {
    word.len() == 64 && word.bytes().all(|it| it.is_ascii_hexdigit())
}

/// A bundle names the socket of its shim; of those that are gone, the digest tells.
fn sockets(place: &Place, containers: &BTreeSet<String>) -> BTreeSet<PathBuf> {
    let address = |bundle: PathBuf| {
        let text = fs::read_to_string(bundle.join("address")).ok()?;
        Some(PathBuf::from(text.trim().strip_prefix("unix://")?))
    };
    let named = bundles(place).into_iter().filter_map(address);
    named.chain(containers.iter().map(|it| socket(place, it))).collect()
}

/// As containerd makes it: of its own socket, its namespace and the container.
fn socket(place: &Place, container: &str) -> PathBuf {
    let owner = place.socket().join("k8s.io").join(container);
    let digest = Sha256::digest(owner.as_os_str().as_encoded_bytes());
    Path::new(SOCKETS).join(hex(&digest))
}

fn bundles(place: &Place) -> Vec<PathBuf> {
    entries(place.run().join("containerd/state/io.containerd.runtime.v2.task/k8s.io"))
}

fn name(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_named_in_a_log() {
        let id = "0123456789abcdef".repeat(4);
        let log = format!("msg=\"returns sandbox id \\\"{id}\\\"\" pod=a{id} {}", &id[1..]);
        assert_eq!(named_in(&log).into_iter().collect::<Vec<_>>(), [id]);
    }

    #[test]
    fn a_result_is_told_from_one_of_a_network_whose_name_begins_alike() {
        let id = "0123456789abcdef".repeat(4);
        assert_eq!(
            of_network(&format!("serin-cluster-a-{id}-eth0"), "serin-cluster-a"),
            Some(&*id)
        );
        assert_eq!(of_network(&format!("serin-cluster-a-b-{id}-eth0"), "serin-cluster-a"), None);
        assert_eq!(of_network("serin-cluster-a-b-eth0", "serin-cluster-a"), None);
    }
}
