//! What a kubelet sets for the whole machine when it starts: put back as soon as it has.
//!
//! What was there before is written down first, in one place for all clusters, so that whoever comes next puts it back
//! when an `up` was killed meanwhile. It is forgotten with the last cluster.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context, Result};

use crate::place::{self, Place, RUN};

/// A setting, and what a kubelet makes of it. A value that is neither that nor the former one is somebody else's wish.
const SETTINGS: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

const SYSTEM: &str = "/proc/sys";
/// No cluster can have that name.
const RECORD: &str = "kernel-settings.json";

static IS_OPEN: AtomicBool = AtomicBool::new(false);

/// While it lives, a kubelet may set them; dropped, it puts them back.
pub(crate) struct Window(());

impl Window {
    pub(crate) fn open() -> Result<Self> {
        let _lock = lock()?;
        record(Path::new(SYSTEM), &path())?;
        IS_OPEN.store(true, Ordering::SeqCst);
        Ok(Self(()))
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        put_back();
        IS_OPEN.store(false, Ordering::SeqCst);
    }
}

/// Whether this process has one open.
pub(crate) fn is_open() -> bool {
    IS_OPEN.load(Ordering::SeqCst)
}

/// As it was before the first cluster.
pub(crate) fn put_back() {
    put_back_in(Path::new(SYSTEM), &path());
}

/// The same when a cluster goes; with the last one goes what all have in common.
pub(crate) fn leave(place: &Place) -> Result<()> {
    let _lock = lock()?;
    put_back();
    if place::names().iter().any(|name| name != place.name()) {
        return Ok(());
    }
    remove_device_plugins();
    if path().exists() {
        fs::remove_file(path()).with_context(|| format!("{} stays", path().display()))?;
    }
    Ok(())
}

/// Every kubelet of the machine makes its socket there, whatever it is told; one that is alive keeps it.
fn remove_device_plugins() {
    let directory = Path::new("/var/lib/kubelet/device-plugins");
    let socket = directory.join("kubelet.sock");
    if UnixStream::connect(&socket).is_err() {
        let _ = fs::remove_file(&socket);
        // Others' files keep them.
        let _ = fs::remove_dir(directory).and_then(|()| fs::remove_dir("/var/lib/kubelet"));
    }
}

fn path() -> PathBuf {
    Path::new(RUN).join(RECORD)
}

/// Nobody records while another forgets.
fn lock() -> Result<File> {
    let lock = || {
        fs::create_dir_all(RUN)?;
        let directory = File::open(RUN)?;
        directory.lock()?;
        std::io::Result::Ok(directory)
    };
    lock().with_context(|| format!("{RUN} cannot be locked"))
}

/// Once: while there is a record, what is there now may be a kubelet's.
fn record(system: &Path, record: &Path) -> Result<()> {
    if recorded(record).is_some() {
        return Ok(());
    }
    let now = SETTINGS.iter().filter_map(|(name, _)| Some((*name, value(system, name)?)));
    let now: BTreeMap<&str, String> = now.collect();
    let partial = record.with_extension("partial");
    let write = || {
        fs::write(&partial, serde_json::to_string_pretty(&now)?)?;
        fs::rename(&partial, record)?;
        anyhow::Ok(())
    };
    write().with_context(|| format!("{} cannot be written", record.display()))
}

fn recorded(record: &Path) -> Option<BTreeMap<String, String>> {
    serde_json::from_str(&fs::read_to_string(record).ok()?).ok()
}

/// Where this is refused, the kubelet was refused too.
fn put_back_in(system: &Path, record: &Path) {
    let before = recorded(record).unwrap_or_default();
    for (name, set) in SETTINGS {
        let Some(before) = before.get(name) else { continue };
        if before != set && value(system, name).is_some_and(|now| now == set) {
            let _ = fs::write(system.join(name), before);
        }
    }
}

fn value(system: &Path, name: &str) -> Option<String> {
    Some(fs::read_to_string(system.join(name)).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_kubelet_set_is_put_back_whoever_recorded_it_and_nothing_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let (system, file) = (directory.path().join("sys"), directory.path().join("record"));
        let set = |name: &str, value: &str| {
            let path = system.join(name);
            fs::create_dir_all(path.parent().expect("a directory")).expect("made");
            fs::write(path, format!("{value}\n")).expect("written");
        };
        let now = |name| value(&system, name);
        set("vm/overcommit_memory", "0");
        set("kernel/panic", "3");
        record(&system, &file).expect("recorded");
        set("vm/overcommit_memory", "1");
        record(&system, &file).expect("not recorded again");
        set("kernel/panic", "7");
        put_back_in(&system, &file);
        assert_eq!(now("vm/overcommit_memory").as_deref(), Some("0"));
        assert_eq!(now("kernel/panic").as_deref(), Some("7"), "somebody else's");
        assert_eq!(now("kernel/panic_on_oops"), None, "what was not there is not made");
    }

    #[test]
    fn the_record_is_no_clusters_directory() {
        assert!(Place::new(RECORD).is_err());
    }
}
