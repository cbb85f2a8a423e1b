//! The controller's image: its program with the libraries that it is linked to, and a user who is nobody.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{
    HUB, Image,
    archive::{self, Config, Recipe},
    cargo,
    layer::{Item, Layer},
    libraries, target,
};
use crate::say;

/// How the program is built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Quickly.
    #[default]
    Debug,
    /// As it is measured.
    Release,
}

const NAME: &str = "controller";
const PROGRAM: &str = "serin-controller";
/// Nobody's, as minimal images have it.
const USER: &str = "65532:65532";

/// The controller's image, built first if it has changed. Its tag tells it from any other build, so that pods are
/// replaced when it is applied.
pub fn controller(profile: Profile) -> Result<Image> {
    let binary = say::part("building the controller", || build(profile))?;
    let path = format!("usr/local/bin/{PROGRAM}");
    let mut items = vec![Item::program(&binary, &path)];
    items.extend(libraries::of(&binary)?);
    let layer = Layer::new(NAME, items)?;
    let entry = layer.tar.file_name().unwrap_or_default().to_string_lossy();
    let (_, tag) = entry.rsplit_once('-').context("an entry of the cache without its key")?;
    let reference = format!("{HUB}/{NAME}:{tag}");
    let config = Config::run(&format!("/{path}")).user(USER);
    archive::write(NAME, &[Recipe::new(&[reference], vec![layer], config)])
}

fn build(profile: Profile) -> Result<PathBuf> {
    let (more, directory): (&[&str], _) = match profile {
        Profile::Debug => (&[], "debug"),
        Profile::Release => (&["--release"], "release"),
    };
    let words = ["build", "--quiet", "--package", PROGRAM, "--bin", PROGRAM];
    cargo(&[&words, more].concat())?;
    Ok(target().join(directory).join(PROGRAM))
}
