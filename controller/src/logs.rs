//! The log, on stderr.

use std::io;

use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// The filter does not read.
#[derive(Debug, Error)]
#[error("--log {filter:?} is no filter of the log: {source}")]
pub struct LogsError {
    filter: String,
    source: ParseError,
}

/// Begins to log.
pub fn start(filter: &str) -> Result<(), LogsError> {
    let parsed = EnvFilter::try_new(filter);
    let parsed = parsed.map_err(|source| LogsError { filter: filter.to_owned(), source })?;
    // Another one is a test's, which may keep it.
    let _ = tracing_subscriber::fmt().with_env_filter(parsed).with_writer(io::stderr).try_init();
    Ok(())
}
