//! The standard library's source from a Debian mirror, for machines whose toolchain cannot bring its own.
//!
//! Asks with lists and a cache under target/: the machine's own sources, lists and packages stay as they are, and no
//! rights are needed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{output, run, target};
use crate::wasm::standard::is_library;

/// Suites that carry several compilers' sources.
const SUITES: [&str; 2] = ["trixie-backports", "sid"];
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The directory `library` of that version.
pub(super) fn from_debian(version: &str) -> Result<PathBuf> {
    let home = target().join("wasm/rust-src");
    let library = home.join(format!("usr/src/rustc-{version}/library"));
    if is_library(&library) {
        return Ok(library);
    }
    if !Path::new(KEYRING).is_file() {
        bail!("this is no Debian: there is no {KEYRING}");
    }
    let apt = Apt::new(&home)?;
    run(&mut apt.command("apt-get", &["--quiet", "update"]))?;
    let known = output(&mut apt.command("apt-cache", &["madison", "rust-src"]))?;
    let package = newest(&known, version)
        .with_context(|| format!("no suite of {SUITES:?} has rust-src {version}"))?;
    let package = format!("rust-src={package}");
    run(apt.command("apt-get", &["--quiet", "download", &package]).current_dir(&home))?;
    run(Command::new("dpkg-deb").arg("--extract").arg(archive(&home)?).arg(&home))?;
    if !is_library(&library) {
        bail!("{package} holds no {}", library.display());
    }
    Ok(library)
}

/// An apt of our own.
struct Apt {
    home: PathBuf,
}

impl Apt {
    fn new(home: &Path) -> Result<Self> {
        for directory in ["lists/partial", "cache/archives/partial"] {
            std::fs::create_dir_all(home.join(directory))?;
        }
        let mirror = mirror().context("no mirror of Debian is named below /etc/apt")?;
        let mut sources = String::new();
        for suite in SUITES {
            writeln!(sources, "deb [signed-by={KEYRING}] {mirror} {suite} main")?;
        }
        std::fs::write(home.join("sources.list"), sources)?;
        Ok(Self { home: home.to_owned() })
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        for (option, file) in [
            ("Dir::Etc::SourceList", "sources.list"),
            ("Dir::State::Lists", "lists"),
            ("Dir::Cache", "cache"),
        ] {
            command.arg("-o").arg(format!("{option}={}", self.home.join(file).display()));
        }
        // No other sources, and no other user: that one could not write below target/.
        for option in ["Dir::Etc::SourceParts=/dev/null", "APT::Sandbox::User="] {
            command.arg("-o").arg(option);
        }
        command.args(arguments);
        command
    }
}

/// The mirror that the machine uses for itself.
fn mirror() -> Option<String> {
    let directory = std::fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten();
    let listed = directory.filter_map(|file| Some(file.ok()?.path()));
    let files = listed.chain(["/etc/apt/sources.list".into()]);
    let texts: Vec<String> = files.filter_map(|file| std::fs::read_to_string(file).ok()).collect();
    texts.iter().flat_map(|text| text.split_whitespace()).find_map(mirror_word)
}

fn mirror_word(word: &str) -> Option<String> {
    let word = word.trim_end_matches('/');
    (word.starts_with("http") && word.ends_with("/debian")).then(|| word.to_owned())
}

/// The first version in what `apt-cache madison` prints that is of that compiler: ` rust-src | 1.95.0+dfsg1-2 | …`.
fn newest<'k>(known: &'k str, version: &str) -> Option<&'k str> {
    let of_line = |line: &'k str| Some(line.split('|').nth(1)?.trim());
    known
        .lines()
        .filter_map(of_line)
        .find(|package| package.strip_prefix(version).is_some_and(|it| it.starts_with(['+', '-'])))
}

fn archive(home: &Path) -> Result<PathBuf> {
    let files = std::fs::read_dir(home)?.filter_map(|file| Some(file.ok()?.path()));
    let mut archives = files.filter(|path| path.extension().is_some_and(|it| it == "deb"));
    archives.next().context("apt-get left no package")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_of_the_compilers_version_is_found() {
        let known = " rust-src | 1.97.1+dfsg1-1 | http://mirror sid/main amd64 Packages\n \
                     rust-src | 1.95.0+dfsg1-2~bpo13+1 | http://mirror trixie-backports/main\n \
                     rust-src | 1.95.0+dfsg1-1 | http://mirror trixie-backports/main\n";
        assert_eq!(newest(known, "1.95.0"), Some("1.95.0+dfsg1-2~bpo13+1"));
        assert_eq!(newest(known, "1.97.1"), Some("1.97.1+dfsg1-1"));
        assert_eq!(newest(known, "1.9"), None);
        assert_eq!(newest("", "1.95.0"), None);
    }

    #[test]
    fn a_mirror_is_a_debian_archive() {
        assert_eq!(
            mirror_word("https://m.example/debian/").as_deref(),
            Some("https://m.example/debian")
        );
        for other in ["deb", "http://m.example/debian-security", "main", "cdrom:/debian"] {
            assert_eq!(mirror_word(other), None, "{other}");
        }
    }
}
