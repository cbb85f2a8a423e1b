//! Flagger's load tester under the name of its own image, with the tools that its documentation uses: hey, curl and,
//! for its probes, wget.

use anyhow::Result;

use super::{
    Image,
    archive::{self, Config, Recipe},
    layer::{Item, Layer},
    root,
};
use crate::programs::{self, LOAD_TESTER};

const NAME: &str = "ghcr.io/fluxcd/flagger-loadtester";

/// The image; its program is `./loadtester` in /home/app, as in the original.
pub(super) fn image() -> Result<Image> {
    let programs = programs::load_tester()?;
    let items = vec![
        Item::program(&programs.loadtester, "home/app/loadtester"),
        Item::program(&programs.hey, "usr/local/bin/hey"),
    ];
    let layers = vec![root::layer()?, Layer::new("load-tester", items)?];
    let config = Config::run("./loadtester").user("100:101").directory("/home/app");
    archive::write(
        "load-tester",
        &[Recipe::new(&[format!("{NAME}:{LOAD_TESTER}")], layers, config)],
    )
}
