//! containerd's root directory, with all images unpacked: made once for a set of images, kept in the cache, and given
//! to each cluster as a copy of hard links, which takes a second where an import takes half a minute.
//!
//! Unpacked files are only ever the lower layers of containers and blobs are never written again, so sharing them is
//! safe; the databases are copied.

mod importer;

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Component, Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{cache, command, images::Image, node, place::Place, programs::Node, say};

/// The archives that were imported into a root directory, whose names change with what is in them.
const LIST: &str = "serin-archives";
/// What containerd looks for in an archive: OCI's own, and Docker's.
const INDICES: [&str; 2] = ["index.json", "manifest.json"];

/// Makes the root directory of that cluster's containerd unless it is there: a copy of the kept one.
pub(crate) fn prepare(programs: &Node, place: &Place, root: &Path, images: &[Image]) -> Result<()> {
    if root.exists() {
        return Ok(());
    }
    let kept = kept(programs, place, images)?;
    say::part("copying containerd's images", || copy(&kept, root))
}

/// Imports what a containerd that was started earlier does not have yet.
pub(crate) fn catch_up(
    programs: &Node,
    place: &Place,
    root: &Path,
    images: &[Image],
) -> Result<()> {
    let list = root.join(LIST);
    let had = fs::read_to_string(&list).unwrap_or_default();
    let has = |image: &&Image| had.lines().any(|line| image.archive == Path::new(line));
    let new: Vec<&Image> = images.iter().filter(|image| !has(image)).collect();
    if new.is_empty() {
        return Ok(());
    }
    say::part(&format!("importing {} new archives of images", new.len()), || {
        new.iter().try_for_each(|image| import(&programs.ctr, &place.socket(), &image.archive))
    })?;
    // The list may be a hard link into the kept directory, so it is replaced, never written.
    let partial = list.with_extension("partial");
    fs::write(&partial, lines(images))?;
    fs::rename(&partial, &list)?;
    Ok(())
}

/// Where it is, by the cache that this command was told to use.
pub(crate) fn root(place: &Place) -> Result<PathBuf> {
    Ok(cache::dir()?.join("containerd").join(place.name()))
}

/// Whether a path has the form of such a directory; whatever else a record names is not ours to use or remove.
pub(crate) fn is_form(place: &Place, path: &Path) -> bool {
    let plain = |it: Component<'_>| matches!(it, Component::RootDir | Component::Normal(_));
    path.is_absolute()
        && path.components().all(plain)
        && path.ends_with(Path::new("containerd").join(place.name()))
}

/// Every root directory that a cluster of that name has left: `remembered`, the one that its containerd was told, and
/// the one of this command's cache.
pub(crate) fn left(place: &Place, remembered: Option<PathBuf>) -> BTreeSet<PathBuf> {
    let told = node::configured_root(place);
    let elsewhere = remembered.into_iter().chain(told);
    let elsewhere = elsewhere.filter(|it| is_form(place, it) && holds_only_plugins(it));
    elsewhere.chain(root(place)).collect()
}

/// As containerd leaves it, also when half of it has been removed.
fn holds_only_plugins(directory: &Path) -> bool {
    let known = |name: &str| {
        name.starts_with("io.containerd.") || name.starts_with(LIST) || name == "tmpmounts"
    };
    let mut entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.all(|entry| entry.file_name().to_str().is_some_and(known))
}

/// Imports an archive into the containerd behind that socket.
pub(crate) fn import(ctr: &Path, socket: &Path, archive: &Path) -> Result<()> {
    let mut command = Command::new(ctr);
    command.arg("--address").arg(socket).args(["--namespace", "k8s.io", "images", "import"]);
    command::output(command.arg(archive))
        .map(drop)
        .with_context(|| format!("{} is not imported", archive.display()))
}

/// Whether it looks like what can be imported: a tar with an index. One that is compressed does not, and may be.
pub(crate) fn is_archive(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let is_index = |entry: std::io::Result<tar::Entry<'_, File>>| {
        let entry = entry.ok()?;
        let path = entry.path().ok()?;
        let path = path.strip_prefix(".").unwrap_or(&path);
        Some(INDICES.iter().any(|name| path == Path::new(name)))
    };
    let mut archive = tar::Archive::new(file);
    archive.entries_with_seek().is_ok_and(|all| all.map_while(is_index).any(|it| it))
}

fn kept(programs: &Node, place: &Place, images: &[Image]) -> Result<PathBuf> {
    let archives: Vec<String> =
        images.iter().map(|image| image.archive.display().to_string()).collect();
    // The list's name stands for what else is in the directory.
    let inputs: Vec<&str> = [LIST].into_iter().chain(archives.iter().map(String::as_str)).collect();
    cache::entry("containerd-images", &inputs, |root| {
        let title = format!("importing {} archives of images", images.len());
        say::part(&title, || importer::import_all(programs, place, root, images))?;
        Ok(fs::write(root.join(LIST), lines(images))?)
    })
}

fn lines(images: &[Image]) -> String {
    let paths: Vec<String> =
        images.iter().map(|image| image.archive.display().to_string()).collect();
    paths.join("\n")
}

fn copy(kept: &Path, root: &Path) -> Result<()> {
    let partial = root.with_extension("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    fs::create_dir_all(root.parent().context("a root directory has a parent")?)?;
    let words = ["--archive", "--link", "--no-target-directory"];
    command::output(Command::new("cp").args(words).args([kept, &partial]))?;
    unlink_databases(&partial)?;
    fs::rename(&partial, root).with_context(|| format!("{} cannot be made", root.display()))
}

/// The databases are two levels deep: `PLUGIN/NAME.db`. Images' own files are deeper.
fn unlink_databases(root: &Path) -> Result<()> {
    for plugin in fs::read_dir(root)?.flatten() {
        for entry in fs::read_dir(plugin.path()).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|end| end == "db") {
                let own = path.with_extension("own");
                fs::copy(&path, &own)?;
                fs::rename(&own, &path)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_directory_of_the_expected_form_is_taken_for_ours() {
        let place = Place::new("one").expect("a name");
        assert!(is_form(&place, Path::new("/var/cache/containerd/one")));
        for bad in ["/", "/etc", "containerd/one", "/x/containerd/two", "/x/../containerd/one"] {
            assert!(!is_form(&place, Path::new(bad)), "{bad}");
        }
    }

    #[test]
    fn a_directory_with_anything_else_in_it_is_not_ours() {
        let directory = tempfile::tempdir().expect("a directory");
        for name in ["io.containerd.metadata.v1.bolt", "tmpmounts", LIST] {
            fs::create_dir(directory.path().join(name)).expect("made");
        }
        assert!(holds_only_plugins(directory.path()));
        fs::write(directory.path().join("letters"), "").expect("written");
        assert!(!holds_only_plugins(directory.path()));
    }

    #[test]
    fn an_archive_has_an_index() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("image.tar");
        fs::write(&file, "no tar at all".repeat(100)).expect("written");
        assert!(!is_archive(&file));
        assert!(!is_archive(directory.path()), "a directory");
        for (index, is) in [("index.json", true), ("./manifest.json", true), ("data.json", false)] {
            let mut tar = tar::Builder::new(File::create(&file).expect("made"));
            for name in ["blobs/sha256/0", index] {
                let mut header = tar::Header::new_gnu();
                header.set_size(2);
                tar.append_data(&mut header, name, &b"{}"[..]).expect("appended");
            }
            tar.finish().expect("finished");
            drop(tar);
            assert_eq!(is_archive(&file), is, "{index}");
        }
    }
}
