//! The file of `--state`: where a release stands, so that one that was interrupted is carried on.
//!
//! It belongs to one process at a time, by a lock on a file beside it: the file itself is replaced with each status,
//! and a lock would stay on what was replaced. What is in it is believed as far as a step can have written it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serin_rollout::{Phase, Plan, Status};

use crate::bounded;

/// The form of the file; another one is another version's.
const VERSION: u32 = 1;
/// A machine's clock may have been wrong, by so much and no more.
const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(24);

/// A file that this process alone writes, for one Canary.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    lock: File,
    name: String,
    namespace: String,
}

/// A claimed file, and what was found in it.
#[derive(Debug)]
pub struct Kept {
    /// The file.
    pub file: StateFile,
    /// The status of a release that was left half done.
    pub unfinished: Option<Status>,
    /// When it was written, which may be later than what this machine's clock shows.
    pub written: Option<Timestamp>,
}

/// Why a state file cannot be used. Whatever is in it stays there.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Not readable, not writable, no file.
    #[error("cannot use {0} to keep the release's status: {1}")]
    Io(PathBuf, io::Error),
    /// Another process has it.
    #[error(
        "{0} is in use: another serin carries out its release; wait for its end, or name another file with --state"
    )]
    Taken(PathBuf),
    /// It says what no release says.
    #[error(
        "{0} holds no release that can be carried on: {1}; mend it, or remove it to begin anew"
    )]
    Unsound(PathBuf, String),
    /// It is of another Canary.
    #[error(
        "{path} holds the release of {found}, and this is {wanted}; name another file with --state, or remove it"
    )]
    OfAnother {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        wanted: String,
    },
}

/// What is in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    version: u32,
    name: String,
    namespace: String,
    written: Timestamp,
    status: Status,
}

impl StateFile {
    /// Claims the file for this process, and reads what was left in it. `now` is what the machine's clock shows.
    pub fn claim(path: &Path, plan: &Plan, now: Timestamp) -> Result<Kept, StateError> {
        // Two names of one file are one file.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file");
            return Err(StateError::Io(path, error));
        }
        let lock = match lock(&path) {
            Ok(lock) => lock,
            Err(TryLockError::WouldBlock) => return Err(StateError::Taken(path)),
            Err(TryLockError::Error(error)) => return Err(StateError::Io(path, error)),
        };
        let (name, namespace) = (plan.name.clone(), plan.namespace.clone());
        let file = Self { path, lock, name, namespace };
        let (unfinished, written) = match file.read(now)? {
            Some((written, status)) => (Some(status).filter(is_under_way), Some(written)),
            None => (None, None),
        };
        Ok(Kept { file, unfinished, written })
    }

    /// Replaces what the file holds. After an error it holds what it held before.
    pub fn write(&mut self, status: &Status, now: Timestamp) -> io::Result<()> {
        self.hold()?;
        let text = serde_json::to_vec_pretty(&Content {
            version: VERSION,
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            written: now,
            status: status.clone(),
        })?;
        let written = tempfile::NamedTempFile::new_in(directory(&self.path))?;
        std::fs::write(written.path(), text)?;
        written.persist(&self.path)?;
        Ok(())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Somebody may have removed the lock, with its directory perhaps: then it is claimed again, if nobody else has.
    fn hold(&mut self) -> io::Result<()> {
        let identity = |of: std::fs::Metadata| (of.dev(), of.ino());
        let ours = identity(self.lock.metadata()?);
        if std::fs::metadata(lock_path(&self.path)).map(identity).ok() != Some(ours) {
            self.lock = lock(&self.path).map_err(|error| match error {
                TryLockError::WouldBlock => io::Error::other("another serin has claimed it"),
                TryLockError::Error(error) => error,
            })?;
        }
        Ok(())
    }

    fn read(&self, now: Timestamp) -> Result<Option<(Timestamp, Status)>, StateError> {
        let text = match bounded::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|error| StateError::Io(self.path.clone(), error))?,
        };
        let unsound = |problem| StateError::Unsound(self.path.clone(), problem);
        let content = parse(&text).map_err(unsound)?;
        if (&content.name, &content.namespace) != (&self.name, &self.namespace) {
            return Err(StateError::OfAnother {
                path: self.path.clone(),
                found: format!("{}.{}", content.name, content.namespace),
                wanted: format!("{}.{}", self.name, self.namespace),
            });
        }
        check(content, now).map(Some).map_err(unsound)
    }
}

fn is_under_way(status: &Status) -> bool {
    !matches!(status.phase, Phase::Initialized | Phase::Succeeded | Phase::Failed)
}

fn parse(text: &str) -> Result<Content, String> {
    let mut json = serde_json::Deserializer::from_str(text);
    let content: Content = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        if path == "." { error.inner().to_string() } else { format!("{path}: {}", error.inner()) }
    })?;
    json.end().map_err(|error| error.to_string())?;
    let (found, ours) = (serde_json::from_str(text), serde_json::to_value(&content));
    if let (Ok(found), Ok(ours)) = (found, ours)
        && let Some(difference) = other_fields(&found, &ours, "")
    {
        return Err(difference);
    }
    if content.version != VERSION {
        let version = content.version;
        return Err(format!("version: {version} is another serin's, this one writes {VERSION}"));
    }
    Ok(content)
}

/// The first field that only one of two objects has, with its path.
fn other_fields(found: &Value, ours: &Value, path: &str) -> Option<String> {
    let (Value::Object(found), Value::Object(ours)) = (found, ours) else { return None };
    let of =
        |field: &str| if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") };
    let unknown = found.keys().find(|field| !ours.contains_key(*field));
    let missing = ours.keys().find(|field| !found.contains_key(*field));
    unknown
        .map(|field| format!("{}: is no field of a status", of(field)))
        .or_else(|| missing.map(|field| format!("{}: is missing", of(field))))
        .or_else(|| {
            let mut both =
                ours.iter().filter_map(|(field, ours)| Some((field, found.get(field)?, ours)));
            both.find_map(|(field, found, ours)| other_fields(found, ours, &of(field)))
        })
}

fn check(content: Content, now: Timestamp) -> Result<(Timestamp, Status), String> {
    let Content { written, status, .. } = content;
    if written.duration_since(now) > AHEAD_MAX {
        return Err(format!("written: {written} is more than a day ahead of this machine's clock"));
    }
    match status.check(written) {
        Ok(()) => Ok((written, status)),
        Err(unsound) => Err(format!("status.{}: {}", unsound.field, unsound.problem)),
    }
}

fn lock(path: &Path) -> Result<File, TryLockError> {
    let lock = OpenOptions::new().create(true).append(true).open(lock_path(path));
    let lock = lock.map_err(TryLockError::Error)?;
    lock.try_lock()?;
    Ok(lock)
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests;
