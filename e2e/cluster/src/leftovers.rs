//! Everything that belongs to a cluster of a name, found without trusting its records: they may be gone, and what they
//! name may have been killed with children left behind.

mod strays;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::mount::{UnmountFlags, unmount};

use crate::{
    cgroup, netns,
    place::{MARK, Place, TOOL_MARK},
    process::{self, Process},
    say,
};
pub(crate) use strays::remove as remove_strays;

const DYING_WITHIN: Duration = Duration::from_secs(20);
const GUESTS_LEAVE_WITHIN: Duration = Duration::from_secs(1);

/// Kills every process of the cluster, the pods' too, and those that are born meanwhile.
pub(crate) fn kill_all(place: &Place) -> Result<()> {
    let deadline = Instant::now() + DYING_WITHIN;
    loop {
        let alive = processes(place);
        if alive.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            let pids: Vec<String> = alive.iter().map(|it| it.pid.to_string()).collect();
            bail!("these processes do not die: {}", pids.join(" "));
        }
        alive.into_iter().for_each(Process::kill);
        thread::sleep(Duration::from_millis(20));
    }
}

/// Kills what an `up` that was killed had begun, such as a build: it would write where the next one does.
pub(crate) fn kill_tools(place: &Place) {
    let mark = format!("{TOOL_MARK}={}", place.name());
    let tools = process::everybody().into_iter().filter(|it| marked(it.pid, &mark));
    for tool in tools {
        say::note(&format!("ending {}, which an earlier command began", tool.called()));
        tool.end();
    }
}

/// By the records, by the mark in their environment, by their network and by their cgroup; never this process or one
/// that it came from, such as a shell that entered the namespace.
pub(crate) fn processes(place: &Place) -> Vec<Process> {
    let marks = [MARK, TOOL_MARK].map(|it| format!("{it}={}", place.name()));
    let network = netns::identity(place);
    let spared = ancestry();
    let mut found: BTreeMap<i32, Process> = BTreeMap::new();
    let ours = |it: &Process| {
        marks.iter().any(|mark| marked(it.pid, mark))
            || network.is_some_and(|id| lives_in(it.pid, id))
    };
    let all = process::everybody().into_iter().filter(ours);
    for process in all.chain(process::all_recorded(place)).chain(cgroup::processes(place)) {
        if !spared.contains(&process.pid) {
            found.insert(process.pid, process);
        }
    }
    found.into_values().collect()
}

/// Ends what a person started in the cluster's network, such as a shell, and says so: it cannot outlive the network
/// without holding it. It is asked first, so that a shell leaves its terminal in order.
pub(crate) fn hang_up_on_guests(place: &Place) {
    let guests = guests(place);
    for guest in &guests {
        say::note(&format!("ending {}, which somebody started in its network", guest.called()));
        guest.hang_up();
    }
    let deadline = Instant::now() + GUESTS_LEAVE_WITHIN;
    while guests.iter().any(|it| it.lives()) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(20));
    }
}

/// Those in the network that no part of the cluster started.
fn guests(place: &Place) -> Vec<Process> {
    let mark = format!("{MARK}={}", place.name());
    let Some(network) = netns::identity(place) else { return Vec::new() };
    let pods = cgroup::processes(place);
    let spared = ancestry();
    let is_guest = |it: &Process| {
        lives_in(it.pid, network)
            && !marked(it.pid, &mark)
            && !pods.contains(it)
            && !spared.contains(&it.pid)
    };
    process::everybody().into_iter().filter(is_guest).collect()
}

/// Unmounts everything below these directories, the innermost first.
pub(crate) fn unmount_below(directories: &[PathBuf]) -> Result<()> {
    let mounts = mounts_below(directories);
    for mount in mounts.iter().rev() {
        unmount(mount, UnmountFlags::DETACH)
            .with_context(|| format!("{} cannot be unmounted", mount.display()))?;
    }
    Ok(())
}

/// What is mounted below these directories, in the order of mounting.
pub(crate) fn mounts_below(directories: &[PathBuf]) -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = text.lines().filter_map(|line| Some(unescape(line.split(' ').nth(4)?)));
    points.filter(|point| directories.iter().any(|it| point.starts_with(it))).collect()
}

fn entries(directory: impl AsRef<Path>) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn marked(pid: i32, mark: &str) -> bool {
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|all| all.split(|byte| *byte == 0).any(|it| it == mark.as_bytes()))
}

fn lives_in(pid: i32, network: u64) -> bool {
    fs::metadata(format!("/proc/{pid}/ns/net")).is_ok_and(|found| found.ino() == network)
}

fn ancestry() -> Vec<i32> {
    let mut line = vec![i32::try_from(std::process::id()).unwrap_or_default()];
    while let Some(parent) = line.last().and_then(|pid| parent_of(*pid)).filter(|pid| *pid > 0) {
        line.push(parent);
    }
    line
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// The kernel writes a space in a path as `\040`.
fn unescape(path: &str) -> PathBuf {
    PathBuf::from(path.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\"))
}
