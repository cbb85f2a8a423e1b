//! Pushes a filter module to an OCI registry over plain HTTP, in the form that Istio's agent reads.
//!
//! That is the "compat" form: an image whose last layer is a compressed tar with a file `plugin.wasm`. The same module
//! gives the same digest whenever it is pushed.

use std::{fs, io::Write as _, path::Path};

use anyhow::{Context, Result, ensure};
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use ureq::{Agent, http::Response};

use crate::{
    cache::hex,
    place::{NODE_ADDRESS, REGISTRY_PORT},
};

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Pushes the module to the registry at `address` (`127.0.0.1:PORT`, the forwarded port) and returns the URL by which
/// a `WasmPlugin` names it: `oci://NODE:5000/serin/MODULE@sha256:…`, which is read inside the cluster.
pub fn push_module(address: &str, wasm: &Path) -> Result<String> {
    let module = fs::read(wasm).with_context(|| format!("{} cannot be read", wasm.display()))?;
    ensure!(module.starts_with(b"\0asm"), "{} is no wasm module", wasm.display());
    let name = wasm.file_stem().and_then(|it| it.to_str()).unwrap_or("module").to_lowercase();
    let repository = Repository::new(address, &format!("serin/{name}"));
    let digest = repository
        .push(&module)
        .with_context(|| format!("{} cannot be pushed to {address}", wasm.display()))?;
    Ok(format!("oci://{NODE_ADDRESS}:{REGISTRY_PORT}/serin/{name}@{digest}"))
}

struct Repository {
    agent: Agent,
    host: String,
    /// `http://HOST/v2/NAME`.
    url: String,
}

impl Repository {
    fn new(address: &str, name: &str) -> Self {
        let host = format!("http://{address}");
        // Statuses are read here, where it is known what was asked.
        let agent = Agent::config_builder().http_status_as_error(false).build().into();
        Self { agent, url: format!("{host}/v2/{name}"), host }
    }

    /// The digest of the manifest.
    fn push(&self, module: &[u8]) -> Result<String> {
        let tar = archive(module)?;
        let layer = compressed(&tar)?;
        let config = json!({
            // Envoy runs it on any of them; a registry's clients want one named.
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": { "type": "layers", "diff_ids": [digest(&tar)] },
        });
        let config = config.to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, &config),
            "layers": [descriptor(LAYER, &layer)],
        });
        let manifest = manifest.to_string().into_bytes();
        self.blob(&config)?;
        self.blob(&layer)?;
        let digest = digest(&manifest);
        let place = format!("{}/manifests/{digest}", self.url);
        let answer = self.agent.put(&place).content_type(MANIFEST).send(&manifest[..])?;
        expect(&answer, 201, "the manifest")?;
        Ok(digest)
    }

    fn blob(&self, bytes: &[u8]) -> Result<()> {
        let digest = digest(bytes);
        let there = self.agent.head(format!("{}/blobs/{digest}", self.url)).call()?;
        if there.status() == 200 {
            return Ok(());
        }
        let begun = self.agent.post(format!("{}/blobs/uploads/", self.url)).send_empty()?;
        expect(&begun, 202, "the beginning of an upload")?;
        let location = begun.headers().get("location").context("an upload without a place")?;
        let place = self.absolute(location.to_str()?);
        let joint = if place.contains('?') { '&' } else { '?' };
        let request = self.agent.put(format!("{place}{joint}digest={digest}"));
        let answer = request.content_type("application/octet-stream").send(bytes)?;
        expect(&answer, 201, "a blob")
    }

    /// Registries answer with a whole URL or with its path.
    fn absolute(&self, location: &str) -> String {
        if location.starts_with('/') { format!("{}{location}", self.host) } else { location.into() }
    }
}

fn expect<T>(answer: &Response<T>, status: u16, what: &str) -> Result<()> {
    let found = answer.status();
    ensure!(found == status, "the registry answered {found} to {what}, not {status}");
    Ok(())
}

fn archive(module: &[u8]) -> Result<Vec<u8>> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(module.len() as u64);
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_data(&mut header, "plugin.wasm", module)?;
    Ok(tar.into_inner()?)
}

fn compressed(tar: &[u8]) -> Result<Vec<u8>> {
    let mut writer = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    writer.write_all(tar)?;
    Ok(writer.finish()?)
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(bytes), "size": bytes.len() })
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn the_layer_holds_the_module_under_the_name_that_istio_looks_for() {
        let layer = compressed(&archive(b"\0asm module").expect("a tar")).expect("compressed");
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(&layer[..]));
        let mut entries = tar.entries().expect("entries");
        let mut entry = entries.next().expect("one").expect("readable");
        assert_eq!(entry.path().expect("a path").to_str(), Some("plugin.wasm"));
        let mut text = Vec::new();
        entry.read_to_end(&mut text).expect("readable");
        assert_eq!(text, b"\0asm module");
        assert!(entries.next().is_none());
    }

    #[test]
    fn what_is_no_module_is_refused_before_anything_is_sent() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let error = push_module("127.0.0.1:1", file.path()).expect_err("no module");
        assert!(error.to_string().ends_with("is no wasm module"), "{error}");
    }
}
