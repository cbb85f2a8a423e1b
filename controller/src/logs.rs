//! The log, on stderr, and what of it is written, which may change while the program runs.

use std::env;
use std::fmt;
use std::io::{self, IsTerminal as _};

use clap::ValueEnum;
use thiserror::Error;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::Handle;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, reload};

use self::json::Json;

mod json;

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One object a line, with `level`, `ts` and `msg` as Flagger's users read them.
    Json,
}

/// The filter does not read.
#[derive(Debug, Error)]
#[error(
    "{filter:?} is no filter of the log: {source}; give a level, or target=level several times"
)]
pub struct LogsError {
    filter: String,
    source: ParseError,
}

/// What of the log is written.
#[derive(Clone)]
pub struct Level(Handle<EnvFilter, Registry>);

/// Begins to log.
pub fn start(filter: &str, format: Format) -> Result<Level, LogsError> {
    let (filter, handle) = reload::Layer::new(parsed(filter)?);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match format {
        Format::Text => lines.with_ansi(colour()).boxed(),
        Format::Json => lines.event_format(Json).boxed(),
    };
    // Another one is a test's, which may keep it.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    Ok(Level(handle))
}

impl Level {
    /// From now on this is written.
    pub fn set(&self, filter: &str) -> Result<(), LogsError> {
        let new = parsed(filter)?;
        // It fails only where nothing is logged any more.
        let _ = self.0.reload(new);
        Ok(())
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filter = self.0.with_current(ToString::to_string).unwrap_or_default();
        f.write_str(&filter)
    }
}

fn parsed(filter: &str) -> Result<EnvFilter, LogsError> {
    let parsed = EnvFilter::try_new(filter);
    parsed.map_err(|source| LogsError { filter: filter.to_owned(), source })
}

/// A person reads along, and has not forbidden it (no-color.org).
fn colour() -> bool {
    io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|it| it.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_does_not_read_changes_nothing() {
        let (_layer, handle) = reload::Layer::new(parsed("info").unwrap());
        let level = Level(handle);
        level.set("warn,serin_controller=debug").unwrap();
        let before = level.to_string();
        assert!(before.contains("serin_controller=debug"), "{before}");
        let error = level.set("serin=loud").unwrap_err().to_string();
        assert!(error.starts_with(r#""serin=loud" is no filter of the log"#), "{error}");
        assert_eq!(level.to_string(), before);
    }
}
