//! What is wrong with a table: every problem at once, each with its place, all of it bounded in size.

use std::fmt;

/// How many problems are kept; the rest is counted.
const KEPT_MAX: usize = 32;
/// Bytes of a path or a message; longer ones are cut.
const TEXT_BYTES_MAX: usize = 256;

/// One thing wrong with a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: `rollouts[2].rules[0].when[1].is`. Empty for the table itself.
    pub path: String,
    /// The rule and the value that breaks it.
    pub message: String,
}

/// Everything wrong with a table. Shown one problem to a line, in at most 17 KiB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    kept: Vec<Problem>,
    more: usize,
}

impl Problems {
    /// The first 32 problems, in the order of the table.
    pub fn list(&self) -> &[Problem] {
        &self.kept
    }

    /// How many problems there are beyond those of the list.
    pub fn more(&self) -> usize {
        self.more
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub(crate) fn push(&mut self, path: String, message: String) {
        if self.kept.len() >= KEPT_MAX {
            self.more = self.more.saturating_add(1);
            return;
        }
        self.kept.push(Problem { path: cut(path), message: cut(message) });
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.path.is_empty() { "table" } else { &self.path };
        write!(f, "{place}: {}", self.message)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.kept.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// A value as a message shows it: quoted, escaped, at most 48 characters of it.
pub(crate) fn shown(text: &str) -> String {
    let mut head: String = text.chars().take(48).collect();
    if head.len() < text.len() {
        head.push('…');
    }
    format!("{head:?}")
}

fn cut(mut text: String) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text;
    }
    let end = (0..=TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at));
    text.truncate(end.unwrap_or(0));
    text.push('…');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_and_its_text_are_bounded() {
        let mut problems = Problems::default();
        for _ in 0..100 {
            problems.push("ü".repeat(1000), "ß".repeat(1000));
        }
        assert_eq!((problems.list().len(), problems.more()), (32, 68));
        assert!(problems.to_string().len() <= 17 * 1024);
        assert!(problems.to_string().ends_with("\nand 68 more"));
    }

    #[test]
    fn values_are_shown_quoted_and_cut() {
        assert_eq!(shown("a\"b\n"), r#""a\"b\n""#);
        assert_eq!(shown(&"x".repeat(49)), format!("\"{}…\"", "x".repeat(48)));
    }
}
