//! Go programs: of a module of ours that pins its dependencies, of a package at a version, or of one file.
//!
//! Everything is built without cgo, so that a program runs in any image, and through Go's own caches, so that what was
//! compiled once is only linked again.

mod toolchain;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{cache, command::output, say};
use toolchain::version;

/// Without symbols and debug information, which no test reads: a third of the size.
pub(super) const STRIPPED: &str = "-s -w";

/// A module below this crate whose go.mod and go.sum pin what it builds.
pub(super) struct Module {
    pub(super) directory: &'static str,
    /// What every package of it begins with.
    pub(super) prefix: &'static str,
    pub(super) ldflags: &'static str,
}

/// A program of somebody else's module, at a version.
pub(super) struct Tool<'t> {
    pub(super) package: &'t str,
    pub(super) version: &'t str,
    pub(super) tags: &'t str,
    pub(super) ldflags: &'t str,
}

impl Tool<'static> {
    pub(super) const fn plain(package: &'static str, version: &'static str) -> Self {
        Self { package, version, tags: "", ldflags: STRIPPED }
    }
}

/// The directory that holds these programs of a module.
pub(super) fn build(module: &Module, packages: &[&str]) -> Result<PathBuf> {
    let home = home().join(module.directory);
    let read = |name: &str| {
        let path = home.join(name);
        fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))
    };
    let (go_mod, go_sum) = (read("go.mod")?, read("go.sum")?);
    let version = version(&home)?;
    let names = packages.join(" ");
    let inputs = [&go_mod, &go_sum, &version, &names, module.ldflags];
    cache::entry(module.directory, &inputs, |place| {
        let title = format!("building {} of {}", short(packages), module.directory);
        say::part(&title, || {
            fs::create_dir_all(place)?;
            let mut command = go(&home, &["build", "-mod=readonly"]);
            // The slash makes it a directory for go.
            command.arg("-o").arg(place.join("")).args(["-ldflags", module.ldflags]);
            run(command.args(packages.iter().map(|it| format!("{}{it}", module.prefix))))
        })
    })
}

/// A program by `go install`; `said` is what a person reads meanwhile.
pub(super) fn install(tool: &Tool<'_>, said: &str) -> Result<PathBuf> {
    let name = tool.package.rsplit('/').next().unwrap_or(tool.package);
    let version = version(&home())?;
    let inputs = [tool.package, tool.version, tool.tags, tool.ldflags, &version];
    let directory = cache::entry(name, &inputs, |place| {
        say::part(&format!("building {name} {said}"), || {
            fs::create_dir_all(place)?;
            let mut command = go(&home(), &["install", "-tags", tool.tags]);
            command.args(["-ldflags", tool.ldflags]).env("GOBIN", place);
            run(command.arg(format!("{}@{}", tool.package, tool.version)))
        })
    })?;
    Ok(directory.join(name))
}

/// A program of a single file below this crate.
pub(super) fn build_file(file: &Path) -> Result<PathBuf> {
    let path = home().join(file);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let name = file.parent().and_then(Path::to_str).context("a program's directory names it")?;
    cache::entry(name, &[&text, &version(&home())?], |place| {
        let mut command = go(&home(), &["build", "-ldflags", "-s -w", "-o"]);
        run(command.arg(place).arg(&path))
    })
}

/// Where Go keeps the source of a module that one of ours requires.
pub(super) fn source(module: &Module, required: &str) -> Result<PathBuf> {
    let home = home().join(module.directory);
    let arguments = ["mod", "download", "-json", required];
    directory_of(&output(&mut go(&home, &arguments))?)
}

/// Where Go keeps the source of a module at a version.
pub(super) fn download(module: &str, version: &str) -> Result<PathBuf> {
    let named = format!("{module}@{version}");
    directory_of(&output(&mut go(&home(), &["mod", "download", "-json", &named]))?)
}

/// The field `Dir` of what `go mod download -json` prints.
fn directory_of(json: &str) -> Result<PathBuf> {
    let value: serde_json::Value = serde_json::from_str(json).context("go printed no JSON")?;
    let directory = value["Dir"].as_str().context("go names no directory for the module")?;
    let directory = PathBuf::from(directory);
    ensure!(directory.is_dir(), "{} is gone; run `go clean -modcache`", directory.display());
    Ok(directory)
}

/// The directory of this crate, where the modules are.
fn home() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn go(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("go");
    command.args(arguments).current_dir(directory);
    command.env("CGO_ENABLED", "0").env("GOWORK", "off");
    command
}

fn run(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

/// `pilot/cmd/pilot-agent` as a person says it.
fn short(packages: &[&str]) -> String {
    let names = packages.iter().map(|it| it.rsplit('/').next().unwrap_or(it));
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_is_read_from_gos_answer() {
        let here = env!("CARGO_MANIFEST_DIR");
        let found = directory_of(&format!(r#"{{"Path": "m", "Dir": "{here}"}}"#));
        assert_eq!(found.expect("a directory"), PathBuf::from(here));
        assert!(directory_of(r#"{"Path": "m"}"#).is_err());
        assert!(directory_of(r#"{"Dir": "/nowhere/at/all"}"#).is_err());
    }

    #[test]
    fn packages_are_named_by_their_last_part() {
        assert_eq!(short(&["pilot/cmd/pilot-agent", "kubectl"]), "pilot-agent, kubectl");
    }
}
