//! Where the page is written: tried before a release begins, so that nobody learns of a wrong path at its end.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use crate::failure::Failure;
use crate::output::aside;
use crate::recording::Recording;

/// The page could not be written; that was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unwritten;

/// Whether a page can be written there, as far as that can be known. What is there stays.
pub(crate) fn check(path: &Path) -> Result<(), Failure> {
    let there = path.symlink_metadata().is_ok();
    let tried = OpenOptions::new().append(true).create(true).open(path);
    if tried.is_ok() && !there {
        // Should it stay, it is an empty page until the real one takes its place.
        let _ = std::fs::remove_file(path);
    }
    tried.map(drop).map_err(|error| Failure::environment(why(path, &error)))
}

/// Writes the page, and says where, or why not.
pub(crate) fn write(path: &Path, releases: &[&Recording]) -> Result<(), Unwritten> {
    match std::fs::write(path, super::page(releases)) {
        Ok(()) => {
            aside(format_args!("The report is in {}", path.display()));
            Ok(())
        }
        Err(error) => {
            aside(format_args!("serin: {}", why(path, &error)));
            Err(Unwritten)
        }
    }
}

fn why(path: &Path, error: &io::Error) -> String {
    format!(
        "cannot write the report to {}: {error}; name another place with --report",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trying_a_place_leaves_it_as_it_was() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("report.html");
        assert!(check(&path).is_ok() && !path.exists());
        std::fs::write(&path, "an older one").expect("written");
        assert!(check(&path).is_ok());
        assert_eq!(std::fs::read_to_string(&path).expect("there"), "an older one");
        assert!(check(directory.path()).is_err() && check(&path.join("below")).is_err());
    }
}
