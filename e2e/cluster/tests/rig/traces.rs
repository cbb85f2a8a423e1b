//! What a cluster leaves on a machine, looked for by other means than the rig's own: whatever carries its name, and
//! what is the whole machine's.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
};

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Traces {
    /// Command lines, environments and cgroups that carry the name.
    processes: BTreeSet<String>,
    mounts: BTreeSet<String>,
    namespaces: BTreeSet<String>,
    cgroups: BTreeSet<PathBuf>,
    files: BTreeSet<PathBuf>,
    /// The inode numbers of the networks that are pinned below its name.
    pub(crate) networks: BTreeSet<u64>,
    /// The host's own rules, counters aside.
    rules: Vec<String>,
    /// The host's own network devices.
    devices: BTreeSet<String>,
    settings: Vec<String>,
    /// What its pods have where nothing carries its name: to be looked at again when nothing else tells of them.
    strays: BTreeSet<PathBuf>,
}

impl Traces {
    pub(crate) fn of(name: &str) -> Self {
        let networks = pinned(name);
        Self {
            processes: processes(name),
            mounts: mounts(name).into_iter().map(|path| path.display().to_string()).collect(),
            namespaces: listed("/run/netns").into_iter().filter(|it| it.ends_with(name)).collect(),
            cgroups: cgroups(name),
            files: files(name),
            networks,
            rules: rules(),
            devices: listed("/sys/class/net"),
            settings: settings(),
            strays: strays(name),
        }
    }

    /// Nothing carries the name.
    pub(crate) fn is_clean(&self) -> bool {
        self.processes.is_empty()
            && self.mounts.is_empty()
            && self.namespaces.is_empty()
            && self.cgroups.is_empty()
            && self.files.is_empty()
    }

    /// Of its strays, those that are still there.
    pub(crate) fn left(&self) -> Vec<&PathBuf> {
        self.strays.iter().filter(|it| it.exists()).collect()
    }

    /// Everything that a running cluster must show is seen.
    pub(crate) fn is_rich(&self) -> bool {
        self.processes.len() >= 9
            && self.mounts.len() >= 4
            && self.namespaces.len() == 1
            && self.cgroups.len() > 8
            && !self.files.is_empty()
            && self.networks.len() >= 2
            && ["cni-loopback-", "/run/containerd/s/"]
                .iter()
                .all(|kind| self.strays.iter().any(|it| it.display().to_string().contains(kind)))
    }
}

/// The processes that live in one of these networks.
pub(crate) fn processes_in(networks: &BTreeSet<u64>) -> Vec<String> {
    let inside = |pid: &String| {
        fs::metadata(format!("/proc/{pid}/ns/net")).is_ok_and(|it| networks.contains(&it.ino()))
    };
    listed("/proc").into_iter().filter(inside).collect()
}

pub(crate) fn processes(name: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let own = std::process::id().to_string();
    for pid in listed("/proc").into_iter().filter(|it| it.parse::<u32>().is_ok() && *it != own) {
        for file in ["cmdline", "environ", "cgroup"] {
            let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let dead = fs::read_to_string(format!("/proc/{pid}/stat"))
                .is_ok_and(|stat| stat.contains(") Z "));
            if !dead && String::from_utf8_lossy(&text).contains(name) {
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                let line = String::from_utf8_lossy(&line).replace('\0', " ");
                found.insert(format!("{pid} {}", line.chars().take(80).collect::<String>()));
            }
        }
    }
    found
}

fn mounts(name: &str) -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    let points = text.lines().filter(|line| line.contains(name));
    points.filter_map(|line| line.split(' ').nth(4).map(PathBuf::from)).collect()
}

fn pinned(name: &str) -> BTreeSet<u64> {
    let networks = mounts(name).into_iter().filter(|it| it.to_string_lossy().contains("netns"));
    networks.filter_map(|it| it.metadata().ok()).map(|it| it.ino()).collect()
}

fn cgroups(name: &str) -> BTreeSet<PathBuf> {
    below(Path::new("/sys/fs/cgroup"), name, 6)
}

fn files(name: &str) -> BTreeSet<PathBuf> {
    let cache = serin_cluster::cache::dir().expect("a cache");
    let mut found = BTreeSet::new();
    for (place, depth) in
        [("/run", 3), ("/var/run", 3), ("/var/lib", 3), ("/var/log", 2), ("/tmp", 2)]
    {
        found.extend(below(Path::new(place), name, depth));
    }
    found.extend(below(&cache, name, 2));
    // Links are known by what they point to.
    let links = fs::read_dir("/var/log/containers").into_iter().flatten().flatten();
    found.extend(links.map(|link| link.path()).filter(|link| {
        fs::read_link(link).is_ok_and(|target| target.to_string_lossy().contains(name))
    }));
    found
}

/// What has the name in its own, that many directories deep.
fn below(directory: &Path, name: &str, depth: usize) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_name().to_string_lossy().contains(name) {
            found.insert(path.clone());
        }
        if depth > 1 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(below(&path, name, depth - 1));
        }
    }
    found
}

fn listed(directory: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn rules() -> Vec<String> {
    let mut rules = Vec::new();
    for program in ["iptables-save", "ip6tables-save"] {
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        let output = Command::new(program).env("PATH", path).output().expect("iptables is there");
        let text = String::from_utf8(output.stdout).expect("text");
        // Comments hold times, and chains hold counters.
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        rules.extend(lines.map(|line| line.split(" [").next().unwrap_or(line).to_owned()));
    }
    rules
}

/// What a kubelet sets.
pub(crate) fn settings() -> Vec<String> {
    let names = [
        "vm/overcommit_memory",
        "vm/panic_on_oom",
        "kernel/panic",
        "kernel/panic_on_oops",
        "kernel/keys/root_maxkeys",
        "kernel/keys/root_maxbytes",
    ];
    names.map(|name| fs::read_to_string(format!("/proc/sys/{name}")).unwrap_or_default()).to_vec()
}

/// What CNI remembers of its pods' loopback, and the sockets that its shims' bundles name.
fn strays(name: &str) -> BTreeSet<PathBuf> {
    let results = Path::new("/var/lib/cni/results");
    let prefix = format!("serin-cluster-{name}-");
    let own = listed("/var/lib/cni/results");
    let pods = own.iter().filter_map(|it| it.strip_prefix(&prefix)?.strip_suffix("-eth0"));
    let mut strays: BTreeSet<PathBuf> =
        pods.map(|pod| results.join(format!("cni-loopback-{pod}-lo"))).collect();
    let tasks =
        format!("/run/serin-cluster/{name}/containerd/state/io.containerd.runtime.v2.task/k8s.io");
    strays.extend(listed(&tasks).iter().filter_map(|task| {
        let address = fs::read_to_string(Path::new(&tasks).join(task).join("address")).ok()?;
        Some(PathBuf::from(address.strip_prefix("unix://")?))
    }));
    strays.retain(|it| it.exists());
    strays
}
