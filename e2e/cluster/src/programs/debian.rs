//! Programs that Debian packages: found where packages put them, else installed when that is allowed.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::say;

/// A program, by name or by its whole path, and the package that brings it.
#[derive(Clone, Copy)]
pub(super) struct Package {
    pub(super) program: &'static str,
    pub(super) package: &'static str,
}

/// Installs what is missing, or says how to.
pub(super) fn need(packages: &[Package]) -> Result<()> {
    let missing: Vec<&str> =
        packages.iter().filter(|it| find(it).is_none()).map(|it| it.package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let advice = format!("apt-get install --no-install-recommends {}", missing.join(" "));
    if !rustix::process::geteuid().is_root() || on_path("apt-get").is_none() {
        bail!("programs are missing: as root, run `{advice}`, or install the same some other way");
    }
    say::part(&format!("installing {}", missing.join(", ")), || {
        apt(&["update"])?;
        let mut words = vec!["install", "--yes", "--no-install-recommends"];
        words.extend(&missing);
        apt(&words)
    })
    .with_context(|| format!("`{advice}` by hand shows more"))
}

/// Where the program is.
pub(super) fn path(package: &Package) -> Result<PathBuf> {
    find(package).with_context(|| {
        format!("there is no {} although {} is installed", package.program, package.package)
    })
}

fn find(package: &Package) -> Option<PathBuf> {
    on_path(package.program)
}

/// The program on the PATH or where root's programs are, which is not on everybody's PATH.
pub(super) fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    // Joining an absolute path gives that path, so a program may be named by one.
    env::split_paths(&path).chain(more).map(|it| it.join(program)).find(|it| is_program(it))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

fn apt(words: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.arg("--quiet").args(words).env("DEBIAN_FRONTEND", "noninteractive");
    let output = command.output().context("apt-get could not be started")?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("`apt-get {}` ended with {}: {}", words.join(" "), output.status, error.trim());
    }
    Ok(())
}
