//! The path of a field, as problems show it: `spec.analysis.match[0].headers["user-agent"]`.

use std::fmt;

/// The path of a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Field(String);

/// The names of lengths of time.
const DURATIONS: [&str; 7] =
    ["interval", "duration", "timeout", "block", "latencyWarmup", "maxDwell", "threshold"];

impl Field {
    /// Where a path begins.
    pub(crate) fn root(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A field of this one, or the entry of a map.
    pub(crate) fn at(&self, name: &str) -> Self {
        let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric());
        match (plain, self.0.is_empty() || self.0.ends_with(' ')) {
            (true, true) => Self(format!("{}{name}", self.0)),
            (true, false) => Self(format!("{}.{name}", self.0)),
            (false, _) => Self(format!("{}[{name:?}]", self.0)),
        }
    }

    /// It is a length of time, by its name.
    pub(crate) fn is_duration(&self) -> bool {
        let name = self.0.rsplit('.').next().unwrap_or_default();
        DURATIONS.contains(&name)
    }

    /// An element of this list.
    pub(crate) fn nth(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Field> for String {
    fn from(field: Field) -> Self {
        field.0
    }
}

impl From<&Field> for String {
    fn from(field: &Field) -> Self {
        field.0.clone()
    }
}
