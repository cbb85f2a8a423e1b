//! The cgroup that all pods of a cluster live below, in every hierarchy that the machine has: version 1, version 2, or
//! both at once.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::{
    place::Place,
    process::{self, Process},
};

const DYING_WITHIN: Duration = Duration::from_secs(10);

/// Makes it, so that the kubelet finds its root.
pub(crate) fn make(place: &Place) -> Result<()> {
    for hierarchy in hierarchies() {
        let directory = hierarchy.join(place.long_name());
        if directory.exists() {
            continue;
        }
        delegate(&hierarchy)?;
        fs::create_dir(&directory)
            .with_context(|| format!("the cgroup {} cannot be made", directory.display()))?;
        // A version 1 cpuset takes no process before it has processors and memory.
        for file in ["cpuset.mems", "cpuset.cpus"] {
            if let Ok(all) = fs::read(hierarchy.join(file)) {
                fs::write(directory.join(file), all)
                    .with_context(|| format!("{file} of {} stays empty", directory.display()))?;
            }
        }
        delegate(&directory)?;
    }
    Ok(())
}

/// Processes in it or below it.
pub(crate) fn processes(place: &Place) -> Vec<Process> {
    let below = format!("/{}/", place.long_name());
    let inside = |it: &Process| {
        fs::read_to_string(format!("/proc/{}/cgroup", it.pid))
            .is_ok_and(|text| text.lines().any(|line| format!("{line}/").contains(&below)))
    };
    process::everybody().into_iter().filter(inside).collect()
}

/// Removes it with everything below it; nothing may live there any more.
pub(crate) fn remove(place: &Place) -> Result<()> {
    for hierarchy in hierarchies() {
        remove_below(&hierarchy.join(place.long_name()))?;
    }
    Ok(())
}

fn remove_below(directory: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(directory) else { return Ok(()) };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_below(&entry.path())?;
        }
    }
    let deadline = Instant::now() + DYING_WITHIN;
    loop {
        match fs::remove_dir(directory) {
            // A process that was killed is still counted until it has let go of its memory.
            Err(error) if error.kind() == ErrorKind::ResourceBusy && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(20));
            }
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| {
                    format!("the cgroup {} cannot be removed", directory.display())
                });
            }
            _ => return Ok(()),
        }
    }
}

/// Version 2 gives children the controllers that their parent names; version 1 has no such file.
fn delegate(directory: &Path) -> Result<()> {
    let Ok(controllers) = fs::read_to_string(directory.join("cgroup.controllers")) else {
        return Ok(());
    };
    let wanted: Vec<String> = controllers.split_whitespace().map(|it| format!("+{it}")).collect();
    let path = directory.join("cgroup.subtree_control");
    if wanted.is_empty() {
        return Ok(());
    }
    fs::write(&path, wanted.join(" ")).with_context(|| {
        format!("{} takes no controllers; is this a container without cgroups?", path.display())
    })
}

/// Where the hierarchies are mounted.
fn hierarchies() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let cgroup = |line: &str| {
        let mut fields = line.split(' ');
        let (_, path, kind) = (fields.next()?, fields.next()?, fields.next()?);
        ["cgroup", "cgroup2"].contains(&kind).then(|| PathBuf::from(path))
    };
    mounts.lines().filter_map(cgroup).collect()
}
