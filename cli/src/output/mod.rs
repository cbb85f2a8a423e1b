//! What a person or a program is shown of a release while it runs.

#[cfg(test)]
mod fixture;
mod json;
mod paint;
mod summary;
pub(crate) mod text;
mod timeline;

use std::fmt::Display;
use std::io::Write as _;

use jiff::Timestamp;
use serin_rollout::{Notice, Status, Traffic, Verdict};

pub use json::Lines;
pub use paint::Paint;
pub use summary::Summary;
pub use timeline::Timeline;

/// How decisions are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A timeline for people.
    #[default]
    Text,
    /// Lines of JSON: each notice, and the outcome as the last.
    Json,
}

/// A release at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// When.
    pub now: Timestamp,
    /// Where it stands.
    pub status: &'a Status,
    /// Its traffic so far.
    pub traffic: &'a Traffic,
    /// What the evidence says.
    pub verdict: Option<&'a Verdict>,
}

/// Someone who follows a release.
pub trait Sink {
    /// Something happened.
    fn notice(&mut self, notice: &Notice);
    /// Time has passed.
    fn moment(&mut self, moment: &Moment<'_>);
}

/// Shows the release to each.
impl Sink for [&mut dyn Sink] {
    fn notice(&mut self, notice: &Notice) {
        for sink in self {
            sink.notice(notice);
        }
    }

    fn moment(&mut self, moment: &Moment<'_>) {
        for sink in self {
            sink.moment(moment);
        }
    }
}

/// Prints the decisions on a release in a format; `Box`ed because the caller does not care which.
pub fn printer(format: Format, release: &str) -> Box<dyn Sink> {
    match format {
        Format::Text => Box::new(Timeline::on_stdout()),
        Format::Json => Box::new(Lines::of(release)),
    }
}

/// Where a release stands: `Progressing at 25% since …, begun …`.
pub fn standing(status: &Status) -> String {
    let Some(run) = &status.run else { return format!("{:?}", status.phase) };
    let minute = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    format!(
        "{:?} at {} since {}, begun {}",
        status.phase,
        run.weight,
        minute(run.step_since),
        minute(run.started)
    )
}

/// Says something beside the data, on the standard error. Nobody may be there to read it, which stops no release.
pub fn aside(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
