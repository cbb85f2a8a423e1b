//! What a running cluster remembers of itself, so that later commands need neither the cache nor the environment of the
//! `up` that made it.

use std::{fs, io::ErrorKind, path::PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use serde::{Deserialize, Serialize};

use super::Cluster;
use crate::{forward::TARGETS, store};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    /// The host's ports, in the order of [`TARGETS`].
    pub(super) ports: [u16; TARGETS.len()],
    /// The namespace's identity: another one of the same name is not ours.
    pub(super) namespace: u64,
    /// containerd's root directory, which the cache's place decided when the cluster was made.
    pub(super) store: PathBuf,
    pub(super) kubectl: PathBuf,
    /// containerd's own client.
    pub(super) ctr: PathBuf,
    /// Whether there is to be what runs in pods.
    #[serde(default)]
    pub(super) is_mesh: bool,
}

impl Cluster {
    pub(super) fn state(&self) -> Result<State> {
        let path = self.state_path();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(self.is_absent()),
            Err(error) => return Err(error).context(path.display().to_string()),
        };
        let again = self.command("down");
        let damaged = || format!("{} is damaged; begin anew by `{again}`", path.display());
        let state: State = serde_json::from_str(&text).with_context(damaged)?;
        ensure!(store::is_form(&self.place, &state.store), "{}", damaged());
        Ok(state)
    }

    pub(super) fn remember(&self, state: &State) -> Result<()> {
        // Written beside and renamed, so that nobody ever reads half of it.
        let partial = self.state_path().with_extension("partial");
        fs::write(&partial, serde_json::to_string_pretty(state)?)?;
        fs::rename(&partial, self.state_path())?;
        Ok(())
    }

    pub(super) fn is_absent(&self) -> anyhow::Error {
        let name = self.place.name();
        anyhow!("no cluster {name:?} runs here; start it by `{}`", self.command("up"))
    }

    fn state_path(&self) -> PathBuf {
        self.place.run().join("state.json")
    }
}
