//! Lines of JSON on the standard output, one for each notice.

use std::io::Write as _;

use serde::Serialize;
use serin_rollout::Notice;

use super::{Moment, Sink};

/// Prints notices as lines of JSON.
#[derive(Clone, Copy, Debug)]
pub struct Lines;

impl Lines {
    /// Prints one line. Whoever reads it may have gone away, which stops no release.
    pub fn print(line: &impl Serialize) {
        let Ok(line) = serde_json::to_string(line) else { return };
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{line}");
        let _ = out.flush();
    }
}

impl Sink for Lines {
    fn notice(&mut self, notice: &Notice) {
        Self::print(notice);
    }

    fn moment(&mut self, _: &Moment<'_>) {}
}
