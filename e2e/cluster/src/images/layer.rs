//! Layers: reproducible tar files, the same bytes for the same files whoever owns them and whenever they were made.

use std::{
    fs::{self, File},
    io::{self, BufWriter},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use tar::{Builder, EntryType, Header};

use super::stamp;
use crate::cache;

/// A layer in the cache, made when it is first wanted.
#[derive(Clone)]
pub(super) struct Layer {
    pub(super) tar: PathBuf,
}

/// Something that a layer holds. Paths inside have no slash in front.
pub(super) enum Item {
    File { from: PathBuf, to: String, mode: u32 },
    Tree { from: PathBuf, to: String },
}

impl Item {
    pub(super) fn program(from: &Path, to: &str) -> Self {
        Self::File { from: from.to_owned(), to: to.to_owned(), mode: 0o755 }
    }

    pub(super) fn file(from: &Path, to: &str) -> Self {
        Self::File { from: from.to_owned(), to: to.to_owned(), mode: 0o644 }
    }

    fn stamp(&self) -> Result<String> {
        Ok(match self {
            Self::File { from, to, .. } => format!("{} as {to}", stamp(from)?),
            // A module of Go's cache, whose path says its version.
            Self::Tree { from, to } => format!("{} as {to}", from.display()),
        })
    }
}

impl Layer {
    /// The layer of these things, owned by root.
    pub(super) fn new(name: &str, items: Vec<Item>) -> Result<Self> {
        let stamps = items.iter().map(Item::stamp).collect::<Result<Vec<_>>>()?;
        let inputs: Vec<&str> = stamps.iter().map(String::as_str).collect();
        let tar = cache::entry(&format!("layer-{name}"), &inputs, |place| {
            let mut writer = Writer::create(place)?;
            let mut files: Vec<(String, PathBuf, u32)> = Vec::new();
            for item in items {
                match item {
                    Item::File { from, to, mode } => files.push((to, from, mode)),
                    Item::Tree { from, to } => walk(&from, &to, &mut files)?,
                }
            }
            files.sort();
            writer.files(&files)?;
            writer.finish()
        })?;
        Ok(Self { tar })
    }
}

/// Every file below a directory with the place that it gets.
fn walk(from: &Path, to: &str, files: &mut Vec<(String, PathBuf, u32)>) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let place = format!("{to}/{name}");
        if path.is_dir() {
            walk(&path, &place, files)?;
        } else {
            files.push((place, path, 0o644));
        }
    }
    Ok(())
}

/// A tar file whose entries say nothing of when they were made.
pub(super) struct Writer {
    tar: Builder<BufWriter<File>>,
    directories: Vec<String>,
}

impl Writer {
    pub(super) fn create(place: &Path) -> Result<Self> {
        let file = File::create(place).with_context(|| place.display().to_string())?;
        let tar = Builder::new(BufWriter::with_capacity(1 << 20, file));
        Ok(Self { tar, directories: Vec::new() })
    }

    fn files(&mut self, files: &[(String, PathBuf, u32)]) -> Result<()> {
        for (to, from, mode) in files {
            self.parents(to)?;
            self.file(to, from, &header(EntryType::Regular, *mode))?;
        }
        Ok(())
    }

    /// A file's content under that header.
    pub(super) fn file(&mut self, to: &str, from: &Path, header: &Header) -> Result<()> {
        let open = || -> io::Result<(File, u64)> {
            let file = File::open(from)?;
            let length = file.metadata()?.len();
            Ok((file, length))
        };
        let (file, length) =
            open().with_context(|| format!("{} cannot be read", from.display()))?;
        let mut header = header.clone();
        header.set_size(length);
        self.tar.append_data(&mut header, to, file).with_context(|| from.display().to_string())
    }

    pub(super) fn bytes(&mut self, to: &str, bytes: &[u8]) -> Result<()> {
        let mut header = header(EntryType::Regular, 0o644);
        header.set_size(bytes.len() as u64);
        Ok(self.tar.append_data(&mut header, to, bytes)?)
    }

    pub(super) fn directory(&mut self, to: &str, header: &Header) -> Result<()> {
        Ok(self.tar.append_data(&mut header.clone(), format!("{to}/"), io::empty())?)
    }

    pub(super) fn link(&mut self, to: &str, target: &Path, header: &Header) -> Result<()> {
        Ok(self.tar.append_link(&mut header.clone(), to, target)?)
    }

    /// The directories above a file that have no entry yet.
    fn parents(&mut self, to: &str) -> Result<()> {
        let ends = to.char_indices().filter(|(_, it)| *it == '/').map(|(end, _)| &to[..end]);
        for parent in ends.collect::<Vec<_>>() {
            if !self.directories.iter().any(|it| it == parent) {
                self.directory(parent, &header(EntryType::Directory, 0o755))?;
                self.directories.push(parent.to_owned());
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<()> {
        let file = self.tar.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(file.sync_all()?)
    }
}

/// A header of the first second of 1970, owned by root.
pub(super) fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_the_same_bytes_whenever_its_files_were_made() {
        let home = tempfile::tempdir().expect("a directory");
        let write = |name: &str| {
            let from = home.path().join(name);
            fs::write(&from, "text").expect("written");
            let place = home.path().join(format!("{name}.tar"));
            let mut writer = Writer::create(&place).expect("a writer");
            writer.files(&[("usr/bin/it".into(), from, 0o755)]).expect("written");
            writer.finish().expect("finished");
            fs::read(place).expect("readable")
        };
        let first = write("a");
        assert_eq!(first, write("b"));
        let mut archive = tar::Archive::new(&first[..]);
        let entries = archive.entries().expect("entries");
        let paths: Vec<_> =
            entries.map(|it| it.expect("an entry").path().expect("a path").into_owned()).collect();
        assert_eq!(paths, ["usr/", "usr/bin/", "usr/bin/it"].map(PathBuf::from));
    }
}
