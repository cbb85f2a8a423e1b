//! The images of the cluster, as OCI archives made here: no daemon, no registry and no base image.
//!
//! An archive holds the images that belong together, each blob once. Every reference is local: pods name it with
//! `imagePullPolicy: IfNotPresent`, and nothing is ever pulled.

mod archive;
mod controller;
mod layer;
mod libraries;
mod podinfo;
mod root;
mod tester;

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{
    cache, command,
    programs::{self, ISTIO},
    say,
};
use archive::{Config, Recipe};
pub use controller::{Profile, controller};
use layer::{Item, Layer};

/// An archive, and what the images in it are called.
#[derive(Debug, Clone)]
pub struct Image {
    pub references: Vec<String>,
    /// Its name changes when what is in it does.
    pub archive: PathBuf,
}

/// The registry part of the names that are ours alone.
pub const HUB: &str = "rig.serin.dev";
/// What containerd starts in every pod.
pub const PAUSE: &str = "rig.serin.dev/pause:1";

/// The workspace's own test apps.
const APPS: [&str; 3] = ["faulty", "load", "receiver"];

/// Every image that the cluster starts with.
pub fn all() -> Result<Vec<Image>> {
    Ok(vec![services()?, mesh()?, podinfo::image()?, tester::image()?])
}

/// The workspace's test apps, built first if they have changed. They change more often than the rest, so a cluster
/// gets them when it runs.
pub fn apps() -> Result<Vec<Image>> {
    let target = say::part("building the test apps", || {
        let build = ["build", "--quiet", "--package", "serin-e2e-apps", "--bins"];
        cargo(&build).map(|_| target())
    })?;
    APPS.iter().map(|name| of_binary(name, &target.join("debug").join(name))).collect()
}

/// A program of this machine with the libraries that it is linked to, and nothing else: `HUB/NAME:1`.
pub fn of_binary(name: &str, binary: &Path) -> Result<Image> {
    let mut items = vec![Item::program(binary, &format!("usr/local/bin/{name}"))];
    items.extend(libraries::of(binary)?);
    let config = Config::run(&format!("/usr/local/bin/{name}"));
    let reference = own(name);
    archive::write(name, &[Recipe::new(&[reference], vec![Layer::new(name, items)?], config)])
}

/// What is not the mesh: one static program each, the registry aside, which Debian links to its C library.
fn services() -> Result<Image> {
    let programs = programs::services()?;
    let alone = |name: &str, binary: &Path| -> Result<Recipe> {
        let path = format!("/{name}");
        let mut items = vec![Item::program(binary, name)];
        items.extend(libraries::of(binary)?);
        Ok(Recipe::new(&[own(name)], vec![Layer::new(name, items)?], Config::run(&path)))
    };
    archive::write(
        "services",
        &[
            alone("pause", &programs.pause)?,
            alone("coredns", &programs.coredns)?,
            alone("metrics-server", &programs.metrics_server)?,
            alone("prometheus", &programs.prometheus)?,
            alone("registry", &programs.registry)?,
        ],
    )
}

/// istiod and the sidecar, on one root file system.
fn mesh() -> Result<Image> {
    let programs = programs::mesh()?;
    let proxy = Layer::new(
        "proxyv2",
        vec![
            Item::program(&envoy()?, "usr/local/bin/envoy"),
            Item::program(&programs.pilot_agent, "usr/local/bin/pilot-agent"),
            Item::file(&programs.bootstrap, "var/lib/istio/envoy/envoy_bootstrap_tmpl.json"),
        ],
    )?;
    let binary = "usr/local/bin/pilot-discovery";
    let pilot = Layer::new("pilot", vec![Item::program(&programs.pilot_discovery, binary)])?;
    let root = root::layer()?;
    let run_pilot = Config::run("/usr/local/bin/pilot-discovery").user("1337:1337");
    archive::write(
        "mesh",
        &[
            Recipe::new(
                &[format!("{HUB}/proxyv2:{ISTIO}")],
                vec![root.clone(), proxy],
                Config::run("/usr/local/bin/pilot-agent"),
            ),
            Recipe::new(&[format!("{HUB}/pilot:{ISTIO}")], vec![root, pilot], run_pilot),
        ],
    )
}

fn own(name: &str) -> String {
    format!("{HUB}/{name}:1")
}

/// The sidecar's Envoy: the one that every other test runs on.
fn envoy() -> Result<PathBuf> {
    if let Some(named) = env::var_os("SERIN_ENVOY") {
        return Ok(named.into());
    }
    say::part("finding Envoy", || cargo(&["xtask", "envoy"]).map(PathBuf::from))
}

/// Runs cargo in the workspace and returns what it printed.
pub(crate) fn cargo(arguments: &[&str]) -> Result<String> {
    let mut command = crate::cargo::cargo();
    command.args(arguments).current_dir(workspace());
    command::output(&mut command)
}

pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where cargo builds, as it decides itself.
fn target() -> PathBuf {
    workspace().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// What tells a file from another one: the name of a cache's entry, and what is in a file of this machine, wherever it
/// is and whenever it was made.
fn stamp(path: &Path) -> Result<String> {
    if let Ok(entry) = path.strip_prefix(cache::dir()?) {
        return Ok(entry.display().to_string());
    }
    let (digest, _) =
        archive::measure(path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(digest)
}
