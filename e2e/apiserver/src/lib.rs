//! A real API server that knows what a cluster with Istio and Serin knows, and nothing runs in it: no pods, no istiod.

mod path;
pub mod program;
pub mod scripted;

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use serin_cluster::{apiserver::ApiServer, mesh};

pub use path::{collection, path};

/// What is waited for on an API server takes no longer than this, or it never comes.
pub const PATIENCE: Duration = Duration::from_secs(30);
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const ISTIOS: &str = "istio.io";
const ASKED_EVERY: Duration = Duration::from_millis(50);

/// A path of the repository.
pub fn repository(path: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.unwrap_or(Path::new(".")).join(path)
}

/// The objects in a file of YAML.
pub fn objects(file: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    parsed(&text).with_context(|| file.display().to_string())
}

/// An API server that knows our definitions as they are installed: the files, not the types.
pub fn with_ours() -> Result<ApiServer> {
    let server = ApiServer::start()?;
    let entries = fs::read_dir(repository("deploy/crds"))?;
    let files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let mut definitions = Vec::new();
    for file in files.iter().filter(|it| it.extension().is_some_and(|end| end == "yaml")) {
        definitions.extend(objects(file)?);
    }
    define(&server, &definitions)?;
    Ok(server)
}

/// As [`with_ours`], with Istio's definitions beside them.
pub fn with_istio() -> Result<ApiServer> {
    let server = with_ours()?;
    let all = parsed(&mesh::manifests()?)?;
    let is = |it: &Value| {
        let group = it["spec"]["group"].as_str().unwrap_or_default();
        it["kind"] == "CustomResourceDefinition" && group.ends_with(ISTIOS)
    };
    let definitions: Vec<Value> = all.into_iter().filter(is).collect();
    ensure!(!definitions.is_empty(), "istioctl installs no definition of {ISTIOS}");
    define(&server, &definitions)?;
    Ok(server)
}

/// Makes a namespace.
pub fn namespace(server: &ApiServer, name: &str) -> Result<()> {
    server.post("/api/v1/namespaces", &json!({ "metadata": { "name": name } })).map(drop)
}

/// Waits until it is so.
pub fn eventually(what: &str, mut so: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        if Instant::now() > deadline {
            bail!("waited {} s in vain: {what}", PATIENCE.as_secs());
        }
        thread::sleep(ASKED_EVERY);
    }
    Ok(())
}

fn parsed(text: &str) -> Result<Vec<Value>> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text)?;
    Ok(all.into_iter().filter(|it| !it.is_null()).collect())
}

/// Installs definitions and waits until objects of their kinds are taken.
fn define(server: &ApiServer, definitions: &[Value]) -> Result<()> {
    for definition in definitions {
        server.post(DEFINITIONS, definition)?;
    }
    for definition in definitions {
        let name =
            definition["metadata"]["name"].as_str().context("a definition without a name")?;
        let at = format!("{DEFINITIONS}/{name}");
        let established = || server.get(&at).is_ok_and(|it| is(&it, "Established"));
        eventually(&format!("{name} to be established"), established)?;
        let stored = server.get(&at)?;
        ensure!(is(&stored, "NamesAccepted"), "{name}: {}", stored["status"]);
        ensure!(!is(&stored, "NonStructuralSchema"), "{name}: {}", stored["status"]);
    }
    Ok(())
}

/// Whether a condition of an object holds.
pub fn is(object: &Value, condition: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|it| it["type"] == condition && it["status"] == "True")
}
