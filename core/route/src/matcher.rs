//! Conditions made ready: patterns compiled once, source labels settled, the rest a comparison of bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use regex_lite::{Regex, RegexBuilder};

use crate::parts::{bare_path, cookie, query};
use crate::{Condition, Request, Subject, Test};

/// Labels of the calling pod, known when the table is loaded.
pub type Labels = BTreeMap<String, String>;

/// Bytes of a compiled pattern; some hundred states.
const PATTERN_BYTES_MAX: usize = 16 << 10;
/// Matching takes time in proportion to states × bytes, and a client chooses the bytes: the worst pattern takes a few
/// milliseconds for so many.
const MATCHED_BYTES_MAX: usize = 2 << 10;

/// A pattern that matches whole values.
#[derive(Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    /// Compiles a pattern; the error says what is wrong with it.
    pub(crate) fn compile(pattern: &str) -> Result<Self, String> {
        let compile = |pattern: &str| {
            let built = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build();
            built.map_err(|error| error.to_string())
        };
        // Alone first: `a)(b` means nothing, but between parentheses it would compile.
        compile(pattern)?;
        compile(&format!(r"\A(?:{pattern})\z")).map(Self)
    }

    fn matches(&self, value: &[u8]) -> bool {
        value.len() <= MATCHED_BYTES_MAX
            && std::str::from_utf8(value).is_ok_and(|value| self.0.is_match(value))
    }
}

/// The compiled patterns of a table, each once, however many rollouts use it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patterns {
    /// By the patterns' text.
    sorted: Vec<(String, Arc<Pattern>)>,
}

impl Patterns {
    pub(crate) fn len(&self) -> usize {
        self.sorted.len()
    }

    pub(crate) fn find(&self, text: &str) -> Option<&Arc<Pattern>> {
        let at = self.place(text).ok()?;
        self.sorted.get(at).map(|(_, pattern)| pattern)
    }

    pub(crate) fn insert(&mut self, text: &str, pattern: Pattern) {
        if let Err(at) = self.place(text) {
            self.sorted.insert(at, (text.to_owned(), Arc::new(pattern)));
        }
    }

    fn place(&self, text: &str) -> Result<usize, usize> {
        self.sorted.binary_search_by(|(known, _)| known.as_str().cmp(text))
    }
}

/// Conditions that must all hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Matcher {
    checks: Vec<Check>,
}

#[derive(Clone, Debug)]
struct Check {
    of: Subject,
    is: Compiled,
}

#[derive(Clone, Debug)]
enum Compiled {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Pattern(Arc<Pattern>),
    Present,
    Absent,
}

impl Matcher {
    /// The conditions that remain once the labels are known; none if one of those about labels fails, for then all
    /// of them together never hold.
    pub(crate) fn settle(when: &[Condition], labels: &Labels, patterns: &Patterns) -> Option<Self> {
        let mut checks = Vec::new();
        for Condition { of, is } in when {
            let is = Compiled::of(is, patterns)?;
            match of {
                Subject::Label(label) => {
                    let value = labels.get(label).map(String::as_bytes);
                    is.passes(value).then_some(())?;
                }
                _ => checks.push(Check { of: of.clone(), is }),
            }
        }
        Some(Self { checks })
    }

    /// Whether all conditions hold; without any they do.
    pub(crate) fn matches(&self, request: &impl Request) -> bool {
        self.checks.iter().all(|check| check.holds(request))
    }

    /// The headers that the conditions look at, repeated if they do so repeatedly.
    pub(crate) fn headers(&self) -> impl Iterator<Item = &str> {
        self.checks.iter().map(|check| header_of(&check.of))
    }
}

impl Check {
    fn holds(&self, request: &impl Request) -> bool {
        let Some(header) = request.header(header_of(&self.of)) else {
            return self.is.passes(None);
        };
        match &self.of {
            Subject::Cookie(name) => self.is.passes(cookie(&header, name.as_bytes())),
            Subject::Query(name) => self.is.passes(query(&header, name.as_bytes()).as_deref()),
            Subject::Path => self.is.passes(Some(bare_path(&header))),
            _ => self.is.passes(Some(&header)),
        }
    }
}

impl Compiled {
    /// None for a pattern that did not compile, which a table in force does not hold.
    fn of(is: &Test, patterns: &Patterns) -> Option<Self> {
        Some(match is {
            Test::Exact(text) => Self::Exact(text.clone()),
            Test::Prefix(text) => Self::Prefix(text.clone()),
            Test::Suffix(text) => Self::Suffix(text.clone()),
            Test::Regex(pattern) => Self::Pattern(Arc::clone(patterns.find(pattern)?)),
            Test::Present => Self::Present,
            Test::Absent => Self::Absent,
        })
    }

    fn passes(&self, value: Option<&[u8]>) -> bool {
        let Some(value) = value else { return matches!(self, Self::Absent) };
        match self {
            Self::Exact(text) => value == text.as_bytes(),
            Self::Prefix(text) => value.starts_with(text.as_bytes()),
            Self::Suffix(text) => value.ends_with(text.as_bytes()),
            Self::Pattern(pattern) => pattern.matches(value),
            Self::Present => true,
            Self::Absent => false,
        }
    }
}

/// The header that holds a subject. A label is in none; it is settled before any request.
fn header_of(subject: &Subject) -> &str {
    match subject {
        Subject::Header(name) => name,
        Subject::Cookie(_) => "cookie",
        Subject::Query(_) | Subject::Path => ":path",
        Subject::Method => ":method",
        Subject::Authority => ":authority",
        Subject::Label(_) => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_values_of_bounded_length() {
        let pattern = Pattern::compile("a|ab+").unwrap();
        for (value, matches) in
            [("a", true), ("abb", true), ("", false), ("ba", false), ("ab\n", false)]
        {
            assert_eq!(pattern.matches(value.as_bytes()), matches, "{value:?}");
        }
        let any = Pattern::compile("(?s).*").unwrap();
        assert!(any.matches(&[b'a'; MATCHED_BYTES_MAX]));
        assert!(!any.matches(&[b'a'; MATCHED_BYTES_MAX + 1]));
        assert!(!any.matches(b"\xff"));
    }

    #[test]
    fn flags_and_anchors_stay_within_a_pattern() {
        assert!(Pattern::compile("(?m)^a$").unwrap().matches(b"a"));
        assert!(!Pattern::compile("(?m)^a$").unwrap().matches(b"a\nb"));
        assert!(Pattern::compile("^a$|^b$").unwrap().matches(b"b"));
    }

    #[test]
    fn labels_are_settled_before_any_request() {
        let labels = Labels::from([("app".to_owned(), "web".to_owned())]);
        let label = |name: &str, is| Condition { of: Subject::Label(name.into()), is };
        let settle = |when: &[Condition]| Matcher::settle(when, &labels, &Patterns::default());
        let web = label("app", Test::Exact("web".into()));
        assert!(settle(std::slice::from_ref(&web)).is_some_and(|it| it.checks.is_empty()));
        assert!(settle(&[label("app", Test::Absent)]).is_none());
        assert!(settle(&[label("tier", Test::Absent)]).is_some());
        assert!(settle(&[label("tier", Test::Present)]).is_none());
        let method = Condition { of: Subject::Method, is: Test::Present };
        let both = settle(&[web, method]).unwrap();
        assert_eq!(both.headers().collect::<Vec<_>>(), [":method"]);
    }
}
