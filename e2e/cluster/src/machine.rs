//! What the kubelet sets for the whole machine: remembered before it begins, put back once it has.

use std::{fs, path::Path};

const SETTINGS: [&str; 6] = [
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
];

/// The values of the kernel's settings at one moment.
pub(crate) struct Settings(Vec<(&'static str, String)>);

impl Settings {
    pub(crate) fn now() -> Self {
        let read = |name| Some((name, fs::read_to_string(path(name)).ok()?));
        Self(SETTINGS.into_iter().filter_map(read).collect())
    }

    /// Where this is refused, the kubelet was refused too.
    pub(crate) fn put_back(&self) {
        for (name, value) in &self.0 {
            let changed = fs::read_to_string(path(name)).is_ok_and(|now| now != *value);
            if changed {
                let _ = fs::write(path(name), value);
            }
        }
    }
}

fn path(name: &str) -> std::path::PathBuf {
    Path::new("/proc/sys").join(name)
}
