//! How a module comes to be, and what is checked of it before anybody may use it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{TARGET, for_wasm, module::Module, standard::Standard};
use crate::run::{cargo, root, run, say, target};

/// A module.
pub(super) struct Recipe {
    pub(super) package: &'static str,
    /// Its file in dist/.
    file: &'static str,
    /// The list of what it offers its host, which is all that is left of its exports.
    exports: &'static str,
    imports: Imports,
    /// Envoy compiles a module on its main thread, about a millisecond for each KiB.
    bytes_max: usize,
}

/// What a module may ask of its host: an Envoy refuses one that asks for more than it has.
enum Imports {
    /// All of this list, so that each is a decision.
    All(&'static str),
    /// Any of this list.
    Among(&'static str),
}

/// The product's filter.
pub(super) const FILTER: Recipe = Recipe {
    package: "serin-filter",
    file: "serin.wasm",
    exports: "wasm/exports.txt",
    imports: Imports::All("wasm/imports.txt"),
    bytes_max: 256 * 1024,
};

/// A test part: it stands in for Istio's `istio.stats`.
pub(super) const ISTIO_STATS: Recipe = Recipe {
    package: "serin-istio-stats",
    file: "istio-stats.wasm",
    exports: "e2e/istio-stats/exports.txt",
    imports: Imports::Among("wasm/imports.txt"),
    bytes_max: 128 * 1024,
};

impl Recipe {
    /// Builds the module and returns where it is.
    pub(super) fn build(&self, standard: &Standard) -> Result<PathBuf> {
        let mut command = cargo(["build", "--package", self.package, "--profile", "module"]);
        run(for_wasm(&mut command, standard))?;
        let name = format!("{}.wasm", self.package.replace('-', "_"));
        let built = target().join("wasm").join(TARGET).join("module").join(name);
        let bytes =
            std::fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
        let exports = golden(self.exports)?;
        let stripped = Module::read(&bytes)?.stripped(&names(&exports))?;
        self.check(&Module::read(&stripped)?, &exports)?;
        let (size, max) = (stripped.len(), self.bytes_max);
        if size > max {
            bail!("{} has {size} bytes; it may have {max}", self.file);
        }
        let dist = root().join("dist").join(self.file);
        put(&dist, &stripped)?;
        say(&format!("{}: {size} bytes of at most {max}", dist.display()));
        Ok(dist)
    }

    /// What the module asks of its host and offers to it must be what is written down: an Envoy refuses a module that
    /// asks for more, and enters whatever it offers.
    fn check(&self, module: &Module<'_>, exports: &[String]) -> Result<()> {
        let imports = module.imports()?;
        match self.imports {
            Imports::All(list) => compare("imports", &imports, list, &golden(list)?)?,
            Imports::Among(list) => {
                let known = golden(list)?;
                let known: Vec<String> =
                    known.into_iter().filter(|it| imports.contains(it)).collect();
                compare("imports", &imports, list, &known)?;
            }
        }
        compare("exports", &module.exports()?, self.exports, exports)
    }
}

fn compare(what: &str, found: &[String], list: &str, golden: &[String]) -> Result<()> {
    let missing = |of: &[String], from: &[String]| {
        let lines = of.iter().filter(|line| !from.contains(line)).map(String::as_str);
        lines.collect::<Vec<_>>().join("\n")
    };
    let (surplus, absent) = (missing(found, golden), missing(golden, found));
    if surplus.is_empty() && absent.is_empty() {
        say(&format!("{what}: as in {list}"));
        return Ok(());
    }
    bail!("{what} differ from {list}\nin the module only:\n{surplus}\nin the file only:\n{absent}");
}

fn golden(file: &str) -> Result<Vec<String>> {
    let path = root().join(file);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}

/// The first word of each line.
fn names(lines: &[String]) -> Vec<&str> {
    lines.iter().filter_map(|line| line.split(' ').next()).collect()
}

/// Writes a file whole or not at all: an Envoy may be reading the old one.
fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let beside = path.with_extension("new");
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    std::fs::write(&beside, bytes)?;
    Ok(std::fs::rename(&beside, path)?)
}
