//! Where a run keeps its files: gone with the run, and with the next one where a run was killed.
//!
//! A lock says whose owner lives: the system lets go of it with the process, however that ends.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use tempfile::TempDir;

const PREFIX: &str = "serin-";
/// Held locked by the owner.
const OWNER: &str = "owner.lock";
/// A Unix socket's address has room for about a hundred bytes.
const SOCKET_PATH_BYTES_MAX: usize = 100;

/// A directory of this process. Dropping it removes it.
#[derive(Debug)]
pub(super) struct RunDirectory {
    directory: TempDir,
    _owner: File,
}

impl RunDirectory {
    /// Makes one where temporary files belong, and removes those of runs that were killed.
    pub(super) fn make() -> io::Result<Self> {
        let usual = std::env::temp_dir();
        let long = usual.join(PREFIX).join("012345/admin.sock").as_os_str().len();
        let parent = if long > SOCKET_PATH_BYTES_MAX { Path::new("/tmp") } else { &usual };
        sweep(parent);
        Self::make_in(parent)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    fn make_in(parent: &Path) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        // Under its name the lock is locked already: nobody sweeps what is being made.
        let making = directory.path().join("making.lock");
        let owner = File::create(&making)?;
        owner.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => error,
            TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
        })?;
        std::fs::rename(making, directory.path().join(OWNER))?;
        Ok(Self { directory, _owner: owner })
    }
}

/// Removes what killed runs of this user left; what cannot be removed is nobody's trouble now.
fn sweep(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.filter_map(Result::ok) {
        let named = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if named && is_left_behind(&entry.path()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn is_left_behind(directory: &Path) -> bool {
    let us = rustix::process::geteuid().as_raw();
    let ours = |path: &Path| {
        path.symlink_metadata().is_ok_and(|it| it.uid() == us && !it.file_type().is_symlink())
    };
    let lock = directory.join(OWNER);
    ours(directory) && ours(&lock) && File::open(lock).is_ok_and(|file| file.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_run_left_is_swept_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let alive = RunDirectory::make_in(parent.path()).unwrap();
        let killed = RunDirectory::make_in(parent.path()).unwrap();
        let RunDirectory { directory, _owner: lock } = killed;
        let left = directory.keep();
        drop(lock);
        std::fs::write(left.join("filter.json"), "a token").unwrap();
        for other in ["serin-e2e-x", "other"] {
            std::fs::create_dir(parent.path().join(other)).unwrap();
        }
        std::fs::write(parent.path().join("serin-file"), "").unwrap();
        sweep(parent.path());
        assert!(!left.exists(), "its owner is gone");
        assert!(alive.path().exists(), "its owner lives");
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 4);
    }
}
