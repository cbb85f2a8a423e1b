//! The root file system of the images that need a shell, a package's iptables or certificates: a small Debian.

use std::{
    env, fs,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use tar::EntryType;

use super::layer::{Layer, Writer, header};
use crate::{cache, command, programs, say};

const SUITE: &str = "bookworm";
const PACKAGES: &str = "iptables,ca-certificates,curl,wget";
/// What no program reads: package lists, logs, and pages for people.
const LEFT_OUT: [&str; 8] = [
    "dev",
    "proc",
    "sys",
    "usr/share/doc",
    "usr/share/locale",
    "usr/share/man",
    "var/lib/apt/lists",
    "var/log",
];

/// The layer, made once.
pub(super) fn layer() -> Result<Layer> {
    let tar = cache::entry("layer-root", &[SUITE, PACKAGES, &LEFT_OUT.join(" ")], |place| {
        // Beside its tar, and so named that the cache removes what a killed run leaves.
        let tree = place.with_added_extension("tree");
        let title = format!("making the root file system ({SUITE} with {PACKAGES})");
        say::part(&title, || debootstrap(&tree))?;
        let mut writer = Writer::create(place)?;
        add(&mut writer, &tree, "")?;
        writer.finish()?;
        fs::remove_dir_all(&tree).with_context(|| tree.display().to_string())
    })?;
    Ok(Layer { tar })
}

fn debootstrap(tree: &Path) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("debootstrap makes files that root owns: run this as root");
    }
    // Its mounts and its processes go with its namespaces, and these with this program, even when it is killed.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child"]);
    command.arg(programs::debootstrap()?);
    command.args(["--variant=minbase", &format!("--include={PACKAGES}"), SUITE]);
    command::output(command.arg(tree).arg(mirror()?)).map(drop)
}

/// `$SERIN_DEBIAN_MIRROR`, else the mirror that this machine's apt uses.
fn mirror() -> Result<String> {
    if let Ok(named) = env::var("SERIN_DEBIAN_MIRROR") {
        return Ok(named);
    }
    let targets = ["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"];
    let output = Command::new("apt-get").args(targets).output();
    let said =
        output.map(|it| String::from_utf8_lossy(&it.stdout).into_owned()).unwrap_or_default();
    let found = said.lines().find(|line| line.trim_end_matches('/').ends_with("/debian"));
    found.map(str::to_owned).context(
        "this machine's apt names no mirror of Debian: set SERIN_DEBIAN_MIRROR to the address of one",
    )
}

/// Everything in a directory of the tree, in order of names.
fn add(writer: &mut Writer, tree: &Path, below: &str) -> Result<()> {
    let directory = tree.join(below);
    let entries = fs::read_dir(&directory).with_context(|| directory.display().to_string())?;
    let mut paths = entries.map(|it| Ok(it?.path())).collect::<Result<Vec<PathBuf>>>()?;
    paths.sort();
    for path in paths {
        let to =
            path.strip_prefix(tree).context("a path of the tree")?.to_string_lossy().into_owned();
        add_one(writer, tree, &path, &to)?;
    }
    Ok(())
}

fn add_one(writer: &mut Writer, tree: &Path, path: &Path, to: &str) -> Result<()> {
    let found = fs::symlink_metadata(path)?;
    let kind = found.file_type();
    let owned = |entry: EntryType| {
        let mut header = header(entry, found.permissions().mode() & 0o7777);
        header.set_uid(found.uid().into());
        header.set_gid(found.gid().into());
        header
    };
    if kind.is_dir() {
        writer.directory(to, &owned(EntryType::Directory))?;
        if LEFT_OUT.contains(&to) { Ok(()) } else { add(writer, tree, to) }
    } else if kind.is_symlink() {
        writer.link(to, &fs::read_link(path)?, &owned(EntryType::Symlink))
    } else if kind.is_file() {
        let package = path.extension().is_some_and(|it| it == "deb");
        if package { Ok(()) } else { writer.file(to, path, &owned(EntryType::Regular)) }
    } else {
        // A container gets its own devices and sockets.
        debug_assert!(
            kind.is_char_device() || kind.is_block_device() || kind.is_fifo() || kind.is_socket()
        );
        Ok(())
    }
}
