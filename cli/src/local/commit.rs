//! A decision becomes the truth: the status is written before anything is done about it.

use std::io;
use std::path::Path;

use serin_rollout::{Phase, Status};

use super::engine::Engine;
use crate::envoy::replace;

impl Engine<'_> {
    /// Writes the status, if it changed.
    pub(super) fn commit(&mut self, status: Status) -> io::Result<()> {
        if status == self.status {
            return Ok(());
        }
        let text = serde_json::to_vec_pretty(&status)?;
        replace(&self.state, &text)?;
        self.status = status;
        Ok(())
    }
}

/// The status of a release that was left half done; none if there is no such file, or the release in it is over.
pub(super) fn unfinished(state: &Path) -> io::Result<Option<Status>> {
    let text = match std::fs::read(state) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let status: Status = serde_json::from_slice(&text).map_err(|error| {
        let place = state.display();
        let text = format!("{place} holds no release ({error}); remove it to begin anew");
        io::Error::new(io::ErrorKind::InvalidData, text)
    })?;
    let over = matches!(status.phase, Phase::Initialized | Phase::Succeeded | Phase::Failed);
    Ok((!over).then_some(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_release_under_way_is_carried_on() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state.json");
        assert_eq!(unfinished(&state).unwrap(), None);
        for (phase, goes_on) in
            [(Phase::Progressing, true), (Phase::Finalising, true), (Phase::Succeeded, false)]
        {
            let status = Status { phase, ..Status::default() };
            replace(&state, &serde_json::to_vec(&status).unwrap()).unwrap();
            assert_eq!(unfinished(&state).unwrap(), goes_on.then_some(status));
        }
        std::fs::write(&state, "{").unwrap();
        let error = unfinished(&state).unwrap_err().to_string();
        assert!(error.contains("state.json holds no release"), "{error}");
    }
}
