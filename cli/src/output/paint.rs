//! Colours, where they are wanted. They only repeat what the words say.

use std::io::IsTerminal;

use serin_rollout::Severity;

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// With escape sequences.
    Colours,
    /// As it is.
    Plain,
}

impl Paint {
    /// Colours on a terminal that has them, unless `NO_COLOR` says otherwise.
    pub fn of(stream: &impl IsTerminal) -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let dumb = variable("TERM").is_some_and(|term| term == "dumb");
        if stream.is_terminal() && variable("NO_COLOR").is_none() && !dumb {
            Self::Colours
        } else {
            Self::Plain
        }
    }

    /// What stands back.
    pub fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// What stands out.
    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// What went well.
    pub fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// What went as badly as that.
    pub fn severity(self, severity: Severity, text: &str) -> String {
        match severity {
            Severity::Info => text.to_owned(),
            Severity::Warn => self.wrap("33", text),
            Severity::Error => self.wrap("31", text),
        }
    }

    fn wrap(self, code: &str, text: &str) -> String {
        match self {
            Self::Colours => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Self::Plain => text.to_owned(),
        }
    }
}
