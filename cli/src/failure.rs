//! How the program ends when it cannot do what it was asked.

use std::fmt::Display;
use std::process::ExitCode;

use crate::output::aside;

/// Wrong usage, or a file with problems.
pub(crate) const USAGE: u8 = 2;
/// Something is missing on this machine.
pub(crate) const ENVIRONMENT: u8 = 3;
/// It ended, and the file that should say so could not be written.
pub(crate) const UNSAVED: u8 = 4;
/// As a shell reports an end by Ctrl-C.
pub(crate) const INTERRUPTED: u8 = 130;

/// A message for the person at the terminal, and the code to exit with.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// Wrong usage.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self { code: USAGE, message: message.to_string() }
    }

    /// Something is missing.
    pub(crate) fn environment(message: impl Display) -> Self {
        Self { code: ENVIRONMENT, message: message.to_string() }
    }

    /// A signal came.
    pub(crate) fn interrupted() -> Self {
        Self { code: INTERRUPTED, message: "interrupted".to_owned() }
    }

    /// The last line of JSON of a release that came to no end.
    pub(crate) fn json(&self) -> serde_json::Value {
        match self.code {
            INTERRUPTED => serde_json::json!({ "outcome": "interrupted" }),
            _ => serde_json::json!({ "outcome": "failed", "text": self.message }),
        }
    }

    /// Says it and gives the code.
    pub(crate) fn exit(&self) -> ExitCode {
        aside(format_args!("serin: {}", self.message));
        ExitCode::from(self.code)
    }
}
