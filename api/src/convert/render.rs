//! Queries with values in them: the part of Go's templates that queries use, `{{ target }}` and `{{ variables.x }}`
//! with trimming (`{{- … -}}`) and comments. Everything beyond that is a fault, not a guess.
//!
//! A value within a `PromQL` string is escaped for that string, so that no value can end it; elsewhere it stands as it
//! is, for there a template's author asked for a piece of `PromQL`.

use std::fmt;

/// Words that look like a value's name and are none.
const WORDS: [&str; 12] = [
    "block",
    "break",
    "continue",
    "define",
    "else",
    "end",
    "if",
    "nil",
    "range",
    "template",
    "variables",
    "with",
];

/// What is wrong with a query's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A value is not known.
    Missing(String),
    /// Something else than a value's name stands between the braces.
    Unsupported(String),
    /// `{{` without `}}`.
    Open,
    /// A value holds a back quote within a back-quoted string, where nothing can escape it.
    Unquotable(String),
}

/// Puts values in. `value` knows them by name: `target`, `variables.x`.
pub(super) fn render(
    text: &str,
    value: impl Fn(&str) -> Option<String>,
) -> Result<String, Vec<Fault>> {
    let mut output = Output::default();
    let mut faults = Vec::new();
    let mut rest = text;
    while let Some((literal, after)) = rest.split_once("{{") {
        let Some((action, next)) = after.split_once("}}") else {
            faults.push(Fault::Open);
            return Err(faults);
        };
        let (action, trim_before, trim_after) = trimmed(action);
        output.feed(if trim_before { literal.trim_end() } else { literal });
        rest = if trim_after { next.trim_start() } else { next };
        if action.starts_with("/*") && action.ends_with("*/") {
            continue;
        }
        if !is_name(action) {
            faults.push(Fault::Unsupported(action.to_owned()));
        } else if let Some(value) = value(action) {
            match output.escaped(&value) {
                Some(value) => output.feed(&value),
                None => faults.push(Fault::Unquotable(action.to_owned())),
            }
        } else {
            faults.push(Fault::Missing(action.to_owned()));
        }
    }
    output.feed(rest);
    if faults.is_empty() { Ok(output.text) } else { Err(faults) }
}

/// An action without its trim markers, and whether it had them. A marker is set off by a space: `{{-3}}` has none.
fn trimmed(action: &str) -> (&str, bool, bool) {
    let before = action.strip_prefix('-').filter(|rest| rest.starts_with(char::is_whitespace));
    let action = before.unwrap_or(action);
    let after = action.strip_suffix('-').filter(|rest| rest.ends_with(char::is_whitespace));
    (after.unwrap_or(action).trim(), before.is_some(), after.is_some())
}

/// `target`, or `variables.x`.
fn is_name(action: &str) -> bool {
    let identifier = |text: &str| {
        text.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && text.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    match action.split_once('.') {
        Some((of, key)) => of == "variables" && identifier(key),
        None => identifier(action) && !WORDS.contains(&action),
    }
}

/// `PromQL` being written.
#[derive(Default)]
struct Output {
    text: String,
    within: Within,
}

/// Where in `PromQL` the end of the output stands.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Within {
    #[default]
    Code,
    Comment,
    /// A string by its quote.
    Text(char),
    /// Behind a backslash of such a string.
    Escape(char),
}

impl Output {
    fn feed(&mut self, text: &str) {
        for c in text.chars() {
            self.within = match (self.within, c) {
                (Within::Code, '"' | '\'' | '`') => Within::Text(c),
                (Within::Code, '#') => Within::Comment,
                (Within::Comment, '\n') => Within::Code,
                (Within::Text(quote), _) if c == quote => Within::Code,
                (Within::Text(quote), '\\') if quote != '`' => Within::Escape(quote),
                (Within::Escape(quote), _) => Within::Text(quote),
                (within, _) => within,
            };
        }
        self.text.push_str(text);
    }

    /// A value as it must be written here; none if it cannot be.
    fn escaped(&self, value: &str) -> Option<String> {
        match self.within {
            Within::Text('`') => (!value.contains('`')).then(|| value.to_owned()),
            Within::Text(quote) | Within::Escape(quote) => {
                let escape = |c: char| match c {
                    '\\' => "\\\\".to_owned(),
                    '\n' => "\\n".to_owned(),
                    '\r' => "\\r".to_owned(),
                    c if c == quote => format!("\\{c}"),
                    c => c.to_string(),
                };
                Some(value.chars().map(escape).collect())
            }
            Within::Comment => Some(value.replace('\n', " ")),
            Within::Code => Some(value.to_owned()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => write!(f, "{{{{ {name} }}}} has no value"),
            Self::Unsupported(action) => {
                let rule = "only names of values may stand between braces, like {{ target }} and \
                            {{ variables.x }}";
                write!(f, "{rule}, not {action:?}")
            }
            Self::Open => f.write_str("has {{ without }}"),
            Self::Unquotable(name) => {
                write!(f, "{{{{ {name} }}}} holds a back quote and stands between back quotes")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rendered(text: &str) -> Result<String, Vec<Fault>> {
        render(text, |name| match name {
            "target" => Some("shop".to_owned()),
            "variables.sharp" => Some("a\"b\\c'd\ne".to_owned()),
            "variables.back" => Some("a`b".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn values_and_trim_markers() {
        for (text, expected) in [
            ("", ""),
            ("up", "up"),
            ("{{target}}", "shop"),
            ("{{ target }}-primary", "shop-primary"),
            ("a {{- target -}} b", "ashopb"),
            ("a  {{- target }} b", "ashop b"),
            ("a {{ target -}}  b", "a shopb"),
            ("a \n {{- target }} b", "ashop b"),
            ("a \n {{- target -}} \n b", "ashopb"),
            ("{{/* why */}}{{ target }}{{- /* so */ -}} x", "shopx"),
            ("}} {", "}} {"),
        ] {
            assert_eq!(rendered(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn values_cannot_end_the_string_they_stand_in() {
        for (text, expected) in [
            (r#"x{a="{{ variables.sharp }}"}"#, r#"x{a="a\"b\\c'd\ne"}"#),
            (r"x{a='{{ variables.sharp }}'}", r#"x{a='a"b\\c\'d\ne'}"#),
            (r#"x{a="\"{{ target }}"}"#, r#"x{a="\"shop"}"#),
            ("x{a=\"b\"} # it's\n {{ variables.back }}", "x{a=\"b\"} # it's\n a`b"),
            ("{{ variables.sharp }}", "a\"b\\c'd\ne"),
        ] {
            assert_eq!(rendered(text).as_deref(), Ok(expected), "{text}");
        }
        let fault = Fault::Unquotable("variables.back".to_owned());
        assert_eq!(rendered("x{a=`{{ variables.back }}`}"), Err(vec![fault]));
    }

    #[test]
    fn everything_else_is_a_fault_each() {
        let text =
            "{{ if target }}{{ .Target }}{{ nobody }}{{ end }}{{ target | printf }}{{ }}{{-3}}{{";
        let unsupported = |text: &str| Fault::Unsupported(text.to_owned());
        let expected = [
            unsupported("if target"),
            unsupported(".Target"),
            Fault::Missing("nobody".to_owned()),
            unsupported("end"),
            unsupported("target | printf"),
            unsupported(""),
            unsupported("-3"),
            Fault::Open,
        ];
        assert_eq!(rendered(text), Err(expected.to_vec()));
    }

    proptest! {
        #[test]
        fn a_value_in_a_string_reads_back_as_itself(value in "[a\"'\\\\\n`{}#]{0,12}") {
            let text = render(r#"x{a="{{ v }}"} + y"#, |_| Some(value.clone())).unwrap();
            let inner = text.strip_prefix(r#"x{a=""#).unwrap().strip_suffix(r#""} + y"#).unwrap();
            // Of what PromQL unescapes, JSON differs in nothing that can occur here.
            let read: String = serde_json::from_str(&format!("\"{inner}\"")).unwrap();
            prop_assert_eq!(read, value);
        }

        #[test]
        fn no_text_panics(text in ".*|[-a{} .\"'`#/*]{0,40}", value in ".*") {
            let _ = render(&text, |_| Some(value.clone()));
        }
    }
}
