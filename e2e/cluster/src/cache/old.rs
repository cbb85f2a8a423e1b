//! Which entries of the cache nobody will miss, and their removal.
//!
//! An entry goes when another of its name was made after its own last use, and that last use is [`KEPT`] ago. So the
//! newest entry of a name stays for ever, several that are in use side by side stay all, and going back to yesterday's
//! branch builds nothing. What a running process was started from, or a running cluster names, stays whatever its age.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::remove;
use crate::{place, say};

/// Longer than a weekend.
const KEPT: Duration = Duration::from_hours(4 * 24);

/// Remembers that somebody wanted the entry now; where the cache may not be written, nothing is removed either.
pub(super) fn used(entry: &Path) {
    let mark = File::options().create(true).append(true).open(mark(entry));
    let _ = mark.and_then(|mark| mark.set_modified(SystemTime::now()));
}

/// Whether a file's name begins with that entry's name and a key.
pub(super) fn has_name(file: &str, name: &str) -> bool {
    let key = file.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
    key.and_then(|it| it.get(..16)).is_some_and(|it| it.bytes().all(|it| it.is_ascii_hexdigit()))
}

/// Removes the entries of that name that have been replaced. What cannot be removed stays, and is tried again when the
/// next entry is made.
pub(super) fn remove_replaced(cache: &Path, name: &str) {
    let entries = entries(cache, name);
    let named = named_by_clusters();
    let is_needed = |path: &Path| named.contains(&path.display().to_string()) || runs(path);
    for path in replaced(&entries, SystemTime::now()) {
        if !is_needed(path) && remove(path).is_ok() {
            let _ = fs::remove_file(mark(path));
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            say::note(&format!("removed {file} from the cache: replaced, and not used for days"));
        }
    }
}

#[derive(Debug)]
struct Entry {
    path: PathBuf,
    made: SystemTime,
    used: SystemTime,
}

fn entries(cache: &Path, name: &str) -> Vec<Entry> {
    let files = fs::read_dir(cache).into_iter().flatten().flatten();
    let entry = |file: fs::DirEntry| {
        let path = file.path();
        let made = file.metadata().ok()?.modified().ok()?;
        let used = mark(&path).metadata().and_then(|it| it.modified()).unwrap_or(made);
        let is_ours = has_name(file.file_name().to_str()?, name);
        is_ours.then_some(Entry { path, made, used })
    };
    files.filter_map(entry).collect()
}

fn replaced(entries: &[Entry], now: SystemTime) -> Vec<&Path> {
    let is_replaced = |it: &&Entry| {
        let unused = now.duration_since(it.used).unwrap_or_default();
        unused >= KEPT && entries.iter().any(|other| other.made > it.used && other.path != it.path)
    };
    entries.iter().filter(is_replaced).map(|it| it.path.as_path()).collect()
}

/// Beside the entry, which may be a file.
pub(super) fn mark(entry: &Path) -> PathBuf {
    let name = entry.file_name().unwrap_or_default().to_string_lossy();
    entry.with_file_name(format!(".{name}.used"))
}

/// What all clusters that run here remember.
fn named_by_clusters() -> String {
    let clusters = fs::read_dir(place::RUN).into_iter().flatten().flatten();
    let state = |it: fs::DirEntry| fs::read_to_string(it.path().join("state.json")).ok();
    clusters.filter_map(state).collect()
}

/// Whether a process runs that was started from it.
fn runs(entry: &Path) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|it| fs::read_link(it.path().join("exe")).ok())
        .any(|program| program.starts_with(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_hours(24 * day)
    }

    fn entry(path: &str, made: u64, used: u64) -> Entry {
        Entry { path: path.into(), made: at(made), used: at(used) }
    }

    #[test]
    fn what_a_newer_one_has_replaced_goes_after_some_days() {
        let both = [entry("old", 1, 2), entry("new", 3, 3)];
        assert_eq!(replaced(&both, at(5)), Vec::<&Path>::new(), "used three days ago");
        assert_eq!(replaced(&both, at(6)), [Path::new("old")]);
        assert_eq!(replaced(&both, at(99)), [Path::new("old")], "the newest stays");
    }

    #[test]
    fn what_is_used_side_by_side_stays() {
        // Two sets of programs of one name, such as an API server's and a node's.
        let both = [entry("one", 1, 40), entry("other", 2, 9)];
        assert_eq!(replaced(&both, at(50)), Vec::<&Path>::new());
    }

    #[test]
    fn an_entry_is_told_from_one_whose_name_begins_alike() {
        assert!(has_name("layer-podinfo-0123456789abcdef", "layer-podinfo"));
        assert!(!has_name("layer-podinfo-shared-0123456789abcdef", "layer-podinfo"));
        assert!(!has_name("layer-podinfo", "layer-podinfo"));
    }

    #[test]
    fn the_mark_says_when_it_was_used() {
        let cache = tempfile::tempdir().expect("a directory");
        let path = cache.path().join("etcd-0123456789abcdef");
        fs::write(&path, "").expect("written");
        File::open(&path).and_then(|it| it.set_modified(at(1))).expect("aged");
        assert_eq!(entries(cache.path(), "etcd")[0].used, at(1), "never used since it was made");
        used(&path);
        let found = entries(cache.path(), "etcd");
        assert_eq!(found.len(), 1, "a mark is no entry");
        assert_eq!(found[0].made, at(1));
        assert!(found[0].used > at(2));
    }

    #[test]
    fn a_running_program_is_seen() {
        let program = std::env::current_exe().expect("its path");
        assert!(runs(program.parent().expect("a directory")));
        assert!(!runs(Path::new("/nowhere")));
    }
}
