//! Whether an entry is as it was made. A full disk or a stray command may have emptied a file in it, and a program
//! without a byte is a riddle to whoever runs it.
//!
//! Sizes are enough for that, and only of the entry's own files: what is deeper is many thousands. They stand in the
//! mark of the entry's last use.

use std::{fs, path::Path};

use super::old::mark;

/// Remembers how an entry is that has just been made.
pub(super) fn remember(entry: &Path) {
    // Where the cache may not be written, it stays unknown.
    let _ = sizes(entry).map(|sizes| fs::write(mark(entry), sizes));
}

/// One that nobody remembers is whole unless a file of it is empty.
pub(super) fn is(entry: &Path) -> bool {
    let Some(now) = sizes(entry) else { return false };
    match fs::read_to_string(mark(entry)) {
        Ok(then) if !then.is_empty() => then == now,
        _ => now.lines().all(|line| !line.starts_with("0 ")),
    }
}

/// A line for each file: its size and its name.
fn sizes(entry: &Path) -> Option<String> {
    if !entry.is_dir() {
        return Some(format!("{} \n", entry.metadata().ok()?.len()));
    }
    let mut lines = Vec::new();
    for file in fs::read_dir(entry).ok()?.flatten() {
        let metadata = file.metadata().ok()?;
        if metadata.is_file() {
            lines.push(format!("{} {}\n", metadata.len(), file.file_name().display()));
        }
    }
    lines.sort();
    Some(lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_whole_as_long_as_its_files_have_their_sizes() {
        let cache = tempfile::tempdir().expect("a directory");
        let entry = cache.path().join("tools-0123456789abcdef");
        fs::create_dir_all(entry.join("deeper")).expect("made");
        let program = entry.join("program");
        let write = |text: &str| fs::write(&program, text).expect("written");
        write("text");
        assert!(is(&entry), "nobody remembers it");
        write("");
        assert!(!is(&entry), "empty, though nobody remembers it");
        write("text");
        remember(&entry);
        assert!(is(&entry));
        write("tex");
        assert!(!is(&entry));
        fs::remove_file(&program).expect("removed");
        assert!(!is(&entry));
    }

    #[test]
    fn an_entry_may_be_a_file() {
        let cache = tempfile::tempdir().expect("a directory");
        let entry = cache.path().join("pause-0123456789abcdef");
        fs::write(&entry, "").expect("written");
        assert!(!is(&entry));
        fs::write(&entry, "text").expect("written");
        remember(&entry);
        assert!(is(&entry));
        fs::write(&entry, "other text").expect("written");
        assert!(!is(&entry));
    }
}
