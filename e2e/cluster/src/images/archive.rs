//! OCI archives of several images, each blob once. Layers stay uncompressed: they never leave the machine.

use std::{
    collections::BTreeMap,
    env::consts::ARCH,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::EntryType;

use super::{
    Image,
    layer::{Layer, Writer, header},
};
use crate::{
    cache::{self, hex},
    say,
};

/// How an image's program runs.
#[derive(Clone)]
pub(super) struct Config {
    entrypoint: String,
    user: &'static str,
    directory: &'static str,
}

impl Config {
    pub(super) fn run(entrypoint: &str) -> Self {
        Self { entrypoint: entrypoint.to_owned(), user: "", directory: "/" }
    }

    pub(super) fn user(self, user: &'static str) -> Self {
        Self { user, ..self }
    }

    pub(super) fn directory(self, directory: &'static str) -> Self {
        Self { directory, ..self }
    }

    /// The container's configuration.
    fn json(&self) -> Value {
        json!({
            "Entrypoint": [self.entrypoint],
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "User": self.user,
            "WorkingDir": self.directory,
        })
    }
}

/// An image to make: its names, its layers from the bottom, and how it runs.
pub(super) struct Recipe {
    references: Vec<String>,
    layers: Vec<Layer>,
    config: Config,
}

impl Recipe {
    pub(super) fn new(references: &[String], layers: Vec<Layer>, config: Config) -> Self {
        Self { references: references.to_vec(), layers, config }
    }

    fn stamp(&self) -> String {
        let layers: Vec<_> = self.layers.iter().map(|it| it.tar.file_name()).collect();
        format!("{:?} {layers:?} {}", self.references, self.config.json())
    }
}

/// The archive of these images.
pub(super) fn write(name: &str, recipes: &[Recipe]) -> Result<Image> {
    let stamps: Vec<String> = recipes.iter().map(Recipe::stamp).collect();
    let inputs: Vec<&str> = stamps.iter().map(String::as_str).collect();
    let archive = cache::entry(&format!("images-{name}"), &inputs, |place| {
        say::part(&format!("writing the images of {name}"), || {
            Blobs::default().write(recipes, place)
        })
    })?;
    let references = recipes.iter().flat_map(|it| it.references.clone()).collect();
    Ok(Image { references, archive })
}

/// What an archive holds, by digest.
#[derive(Default)]
struct Blobs {
    files: BTreeMap<String, PathBuf>,
    texts: BTreeMap<String, Vec<u8>>,
    /// The digest and the size of each layer's file, so that a shared one is read once.
    known: BTreeMap<PathBuf, (String, u64)>,
}

impl Blobs {
    fn write(mut self, recipes: &[Recipe], place: &Path) -> Result<()> {
        let mut manifests = Vec::new();
        for recipe in recipes {
            let manifest = self.manifest(recipe)?;
            let digest = self.text(manifest.to_string().into_bytes());
            for reference in &recipe.references {
                let mut named =
                    self.descriptor("application/vnd.oci.image.manifest.v1+json", &digest);
                named["annotations"] = json!({
                    "io.containerd.image.name": reference,
                    "org.opencontainers.image.ref.name": reference,
                });
                manifests.push(named);
            }
        }
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": manifests,
        });
        let mut writer = Writer::create(place)?;
        writer.bytes("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        writer.bytes("index.json", index.to_string().as_bytes())?;
        for (digest, bytes) in &self.texts {
            writer.bytes(&format!("blobs/sha256/{digest}"), bytes)?;
        }
        for (digest, path) in &self.files {
            let header = header(EntryType::Regular, 0o644);
            writer.file(&format!("blobs/sha256/{digest}"), path, &header)?;
        }
        writer.finish()
    }

    fn manifest(&mut self, recipe: &Recipe) -> Result<Value> {
        let mut layers = Vec::new();
        let mut ids = Vec::new();
        for layer in &recipe.layers {
            let (digest, size) = self.layer(&layer.tar)?;
            ids.push(format!("sha256:{digest}"));
            layers.push(json!({
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": format!("sha256:{digest}"),
                "size": size,
            }));
        }
        let config = json!({
            "architecture": architecture(),
            "os": "linux",
            "config": recipe.config.json(),
            "rootfs": { "type": "layers", "diff_ids": ids },
        });
        let config = self.text(config.to_string().into_bytes());
        Ok(json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": self.descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": layers,
        }))
    }

    fn layer(&mut self, tar: &Path) -> Result<(String, u64)> {
        if let Some(known) = self.known.get(tar) {
            return Ok(known.clone());
        }
        let measured = measure(tar).with_context(|| format!("{} cannot be read", tar.display()))?;
        self.files.insert(measured.0.clone(), tar.to_owned());
        self.known.insert(tar.to_owned(), measured.clone());
        Ok(measured)
    }

    fn text(&mut self, bytes: Vec<u8>) -> String {
        let digest = hex(&Sha256::digest(&bytes));
        self.texts.insert(digest.clone(), bytes);
        digest
    }

    /// A reference to one of the texts.
    fn descriptor(&self, media_type: &str, digest: &str) -> Value {
        let size = self.texts.get(digest).map_or(0, Vec::len);
        json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": size })
    }
}

/// The digest and the size of a file.
pub(super) fn measure(path: &Path) -> io::Result<(String, u64)> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut size = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((hex(&digest.finalize()), size));
        }
        digest.update(&buffer[..read]);
        size += read as u64;
    }
}

/// This machine's architecture by the name that images use.
fn architecture() -> &'static str {
    match ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
