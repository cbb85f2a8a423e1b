//! The standard library for the module's target: installed by rustup, or built along with the module.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{output, say};
use crate::wasm::{TARGET, source};

/// Where the standard library comes from.
pub(super) enum Standard {
    /// The toolchain has it.
    Installed,
    /// It is built from source.
    Built {
        /// The directory `library` of Rust's source, of the compiler's own version.
        library: PathBuf,
    },
}

impl Standard {
    /// The toolchain's own, or rustup's, or else one built from source.
    pub(super) fn find() -> Result<Self> {
        if is_installed()? {
            return Ok(Self::Installed);
        }
        say(&format!("the toolchain has no standard library for {TARGET}; asking rustup for it"));
        if rustup(&["target", "add", TARGET]) && is_installed()? {
            return Ok(Self::Installed);
        }
        say("rustup cannot bring it; building it from source");
        Self::built()
    }

    /// One built from source: the toolchain's, or rustup's, or Debian's.
    pub(super) fn built() -> Result<Self> {
        let library = sysroot()?.join("lib/rustlib/src/rust/library");
        if !is_library(&library) {
            say("the toolchain has no source of the standard library; asking rustup for it");
            rustup(&["component", "add", "rust-src"]);
        }
        if is_library(&library) {
            return Ok(Self::Built { library });
        }
        let version = compiler_version()?;
        say("rustup cannot bring it; asking Debian's mirrors");
        match source::from_debian(&version) {
            Ok(library) => Ok(Self::Built { library }),
            Err(error) => bail!(advice(&version, &error)),
        }
    }
}

/// Whether a directory is the library's source, with the lock file that building it needs.
pub(super) fn is_library(directory: &Path) -> bool {
    directory.join("Cargo.lock").is_file() && directory.join("std/Cargo.toml").is_file()
}

fn is_installed() -> Result<bool> {
    let libraries = output(rustc().args(["--print", "target-libdir", "--target", TARGET]))?;
    let Ok(mut files) = std::fs::read_dir(libraries) else { return Ok(false) };
    let is_std = |name: String| name.starts_with("libstd-");
    Ok(files.any(|file| file.is_ok_and(|it| is_std(it.file_name().to_string_lossy().into()))))
}

fn sysroot() -> Result<PathBuf> {
    Ok(output(rustc().args(["--print", "sysroot"]))?.into())
}

/// `1.95.0`.
fn compiler_version() -> Result<String> {
    let printed = output(rustc().arg("--version"))?;
    let version = printed.split(' ').nth(1).context("`rustc --version` prints no version")?;
    Ok(version.to_owned())
}

fn rustc() -> Command {
    let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.current_dir(crate::run::root());
    command
}

fn rustup(arguments: &[&str]) -> bool {
    match output(Command::new("rustup").args(arguments).current_dir(crate::run::root())) {
        Ok(_) => true,
        Err(error) => {
            say(&format!("{error:#}"));
            false
        }
    }
}

fn advice(version: &str, error: &anyhow::Error) -> String {
    format!(
        "the module needs a standard library for {TARGET}, and this toolchain has neither it nor its \
         source ({error:#}).\n\
         Any one of these helps:\n  \
         rustup target add {TARGET}\n  \
         rustup component add rust-src\n  \
         Debian: apt install rust-src, of the compiler's version {version} (suite trixie-backports)"
    )
}
