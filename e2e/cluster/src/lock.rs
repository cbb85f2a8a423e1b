//! One command at a time: a file that is locked while somebody works, and freed by any end of that process.

use std::{
    fs::{File, TryLockError},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use anyhow::{Context, Result};

use crate::say::{self, Waiting};

/// Waits until nobody else holds it; says so once.
pub(crate) fn hold(path: &Path, waiting: &str) -> Result<File> {
    loop {
        let file =
            File::create(path).with_context(|| format!("{} cannot be made", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                say::note(&format!("{waiting}; waiting for it"));
                let _waiting = Waiting::begin(waiting);
                file.lock().with_context(|| format!("{} cannot be locked", path.display()))?;
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).context(path.display().to_string());
            }
        }
        // Whoever held it may have removed it; then the lock of a file without a name keeps nobody out.
        let same = file.metadata()?.ino();
        if path.metadata().is_ok_and(|now| now.ino() == same) {
            return Ok(file);
        }
    }
}
