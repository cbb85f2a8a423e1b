//! How the program ends when it cannot do what it was asked.

use std::fmt::Display;
use std::process::ExitCode;

use crate::output::{Format, Lines, aside};

/// Wrong usage, or a file with problems.
pub(crate) const USAGE: u8 = 2;
/// Something is missing on this machine.
pub(crate) const ENVIRONMENT: u8 = 3;
/// It ended, and a file that should say so (the state, the report) could not be written.
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

    /// Prints the last line of JSON of what came to no end; people read it where [`Self::exit`] says it.
    pub(crate) fn print(&self, format: Format) {
        if format == Format::Json {
            Lines::print(&match self.code {
                INTERRUPTED => serde_json::json!({ "outcome": "interrupted" }),
                _ => serde_json::json!({ "outcome": "failed", "text": self.message }),
            });
        }
    }

    /// Says it and gives the code.
    pub(crate) fn exit(&self) -> ExitCode {
        aside(format_args!("serin: {}", self.message));
        ExitCode::from(self.code)
    }
}
