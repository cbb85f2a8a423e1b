//! podinfo under the names and tags of Flagger's documentation, and two bad releases of it.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{
    Image,
    archive::{self, Config, Recipe},
    layer::{Item, Layer},
    root,
};
use crate::programs;

/// The tags of Flagger's documentation (its tutorials and the gitops-istio recipe); each says it is that version.
const TAGS: [&str; 6] = ["6.0.0", "6.0.1", "6.0.2", "6.0.3", "6.1.0", "6.1.1"];
const NAMES: [&str; 2] = ["ghcr.io/stefanprodan/podinfo", "docker.io/stefanprodan/podinfo"];
/// What a change of the image alone makes bad, whatever the command of a Deployment says: the tag's end, and the script
/// that stands before the program.
const BAD: [(&str, &str); 2] = [("errors", "podinfo/errors.sh"), ("slow", "podinfo/slow.sh")];
/// Of this release.
const BAD_OF: &str = "6.1.1";

/// All of them, as podinfo's own image has it: `./podinfo` in /home/app, `podcli` for probes, and curl.
pub(super) fn image() -> Result<Image> {
    let programs = programs::services()?;
    let shared = Layer::new(
        "podinfo-shared",
        vec![
            Item::program(&programs.podcli, "usr/local/bin/podcli"),
            Item::Tree { from: programs.podinfo_ui, to: "home/app/ui".into() },
        ],
    )?;
    let below = [root::layer()?, shared];
    let good = TAGS.iter().map(|tag| good(&below, tag));
    let bad = BAD.iter().map(|(end, script)| bad(&below, end, script));
    archive::write("podinfo", &good.chain(bad).collect::<Result<Vec<_>>>()?)
}

fn good(below: &[Layer], tag: &str) -> Result<Recipe> {
    let binary = programs::podinfo(tag)?;
    recipe(below, tag, vec![Item::program(&binary, "home/app/podinfo")])
}

fn bad(below: &[Layer], end: &str, script: &str) -> Result<Recipe> {
    let tag = format!("{BAD_OF}-{end}");
    let binary = programs::podinfo(&tag)?;
    let script = here().join(script);
    let program = Item::program(&binary, "home/app/podinfo-program");
    recipe(below, &tag, vec![program, Item::program(&script, "home/app/podinfo")])
}

fn recipe(below: &[Layer], tag: &str, items: Vec<Item>) -> Result<Recipe> {
    let layers = [below, &[Layer::new("podinfo", items)?]].concat();
    let references = NAMES.map(|name| format!("{name}:{tag}"));
    let config = Config::run("./podinfo").user("100:101").directory("/home/app");
    Ok(Recipe::new(&references, layers, config))
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
