//! The libraries that a program of this machine is linked to, at the places where its loader looks for them.

use std::{path::Path, process::Command};

use anyhow::{Context, Result, ensure};

use super::layer::Item;

/// Nothing for a static program.
pub(super) fn of(binary: &Path) -> Result<Vec<Item>> {
    ensure!(binary.is_file(), "there is no program {}", binary.display());
    let output = Command::new("ldd").arg(binary).output().context("ldd could not be started")?;
    let said = String::from_utf8_lossy(&output.stdout);
    // For a static program ldd says so and fails; a library that is missing is told in a line of its own.
    let missing = said.lines().find(|line| line.contains("not found"));
    ensure!(missing.is_none(), "{}: {}", binary.display(), missing.unwrap_or_default().trim());
    Ok(said.lines().filter_map(path).map(|it| Item::program(Path::new(it), &it[1..])).collect())
}

/// The path in `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)` or `/lib64/ld-linux-x86-64.so.2 (0x…)`.
fn path(line: &str) -> Option<&str> {
    line.split_whitespace().find(|word| word.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_library_is_found() {
        assert_eq!(path("\tlinux-vdso.so.1 (0x00007f92940e4000)"), None);
        assert_eq!(path("\tstatically linked"), None);
        assert_eq!(path("\tlibc.so.6 => /lib/libc.so.6 (0x00007f)"), Some("/lib/libc.so.6"));
        assert_eq!(path("\t/lib64/ld-linux.so.2 (0x00007f)"), Some("/lib64/ld-linux.so.2"));
    }
}
