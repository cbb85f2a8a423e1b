//! What is built once: entries of a directory outside the source tree, named by what they were made from.
//!
//! An entry is made beside its place and renamed into it, so one that is there was complete; whether it still is,
//! [`whole`] tells. An entry that a newer one of its name has replaced is removed once nobody has wanted it for some
//! days; see [`old`].

mod old;
mod whole;

use std::{
    env,
    fmt::Write as _,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::say::{self, Waiting};

/// `$SERIN_CACHE`, else `serin` in the user's cache directory.
pub fn dir() -> Result<PathBuf> {
    let named = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("SERIN_CACHE")
        .or_else(|| named("XDG_CACHE_HOME").map(|home| home.join("serin")))
        .or_else(|| named("HOME").map(|home| home.join(".cache/serin")))
        .context("there is no place for the cache: set SERIN_CACHE or HOME")
}

/// The entry of that name and those inputs; `build` makes it at the path that it is given, as a file or a directory.
/// Two runs that want the same entry build it once: the second waits.
pub fn entry(
    name: &str,
    inputs: &[&str],
    build: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let cache = dir()?;
    let key = format!("{name}-{}", key(inputs));
    let place = cache.join(&key);
    if place.exists() && whole::is(&place) {
        old::used(&place);
        return Ok(place);
    }
    fs::create_dir_all(&cache).with_context(|| unwritable(&cache))?;
    let _lock = lock(&cache, name).with_context(|| unwritable(&cache))?;
    if place.exists() {
        if whole::is(&place) {
            old::used(&place);
            return Ok(place);
        }
        say::note(&format!("{} is damaged, and made again", place.display()));
        remove(&place).with_context(|| format!("{} cannot be removed", place.display()))?;
    }
    sweep(&cache, name)?;
    // A path of this process: what a killed run started may still write to its own.
    let partial = cache.join(format!(".{key}.{}.partial", std::process::id()));
    build(&partial)?;
    ensure!(partial.exists(), "building {name} left nothing at {}", partial.display());
    fs::rename(&partial, &place)
        .with_context(|| format!("{} cannot become {}", partial.display(), place.display()))?;
    whole::remember(&place);
    old::used(&place);
    old::remove_replaced(&cache, name);
    Ok(place)
}

/// Sixteen hexadecimal digits that stand for these inputs and their order.
pub fn key(inputs: &[&str]) -> String {
    let mut digest = Sha256::new();
    for input in inputs {
        digest.update((input.len() as u64).to_le_bytes());
        digest.update(input);
    }
    hex(&digest.finalize()[..8])
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all that is written to it");
        text
    })
}

fn unwritable(cache: &Path) -> String {
    let cache = cache.display();
    format!("nothing can be built into the cache {cache}; SERIN_CACHE names another directory")
}

/// Held until the file is dropped, also by a process that is killed.
fn lock(cache: &Path, name: &str) -> Result<File> {
    let path = cache.join(format!(".{name}.lock"));
    let file = File::create(&path).with_context(|| format!("{} cannot be made", path.display()))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => say::note(&format!("another run builds {name}; waiting")),
        Err(TryLockError::Error(error)) => return Err(error).context(path.display().to_string()),
    }
    let _waiting = Waiting::begin(&format!("waiting for another run, which builds {name}"));
    file.lock().with_context(|| format!("{} cannot be locked", path.display()))?;
    Ok(file)
}

/// Removes what interrupted builds of that name left: nobody else builds it now.
fn sweep(cache: &Path, name: &str) -> Result<()> {
    for entry in fs::read_dir(cache)? {
        let path = entry?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let of_name = file.strip_prefix('.').is_some_and(|it| old::has_name(it, name));
        if of_name && file.contains(".partial") {
            remove(&path).with_context(|| {
                format!("{} of an interrupted run cannot be removed", path.display())
            })?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_inputs_apart_and_their_borders() {
        assert_eq!(key(&["a", "b"]), key(&["a", "b"]));
        assert_eq!(key(&["a", "b"]).len(), 16);
        assert_ne!(key(&["a", "b"]), key(&["b", "a"]));
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
    }

    #[test]
    fn only_what_was_left_of_that_name_is_swept() {
        let cache = tempfile::tempdir().expect("a directory");
        let [one, other, used] = [
            ".etcd-0123456789abcdef.77.partial",
            ".etcd-too-0123456789abcdef.77.partial",
            ".etcd-0123456789abcdef.used",
        ];
        for name in [one, other, used, ".etcd.lock", "etcd-0123456789abcdef"] {
            fs::write(cache.path().join(name), "").expect("written");
        }
        let tree = ".etcd-fedcba9876543210.78.partial.tree/usr";
        fs::create_dir_all(cache.path().join(tree)).expect("made");
        sweep(cache.path(), "etcd").expect("swept");
        let entries = fs::read_dir(cache.path()).expect("entries");
        let mut names: Vec<_> = entries.map(|it| it.expect("an entry").file_name()).collect();
        names.sort();
        assert_eq!(names, [used, other, ".etcd.lock", "etcd-0123456789abcdef"]);
    }
}
