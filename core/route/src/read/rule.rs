//! Reading what is asked of a request: rules, conditions, key sources, named routes.

use serde_json::Value;

use super::reader::{Object, Reader, Unique};
use super::text;
use crate::matcher::Pattern;
use crate::problem::shown;
use crate::{Condition, KeySource, Otherwise, RoutePattern, Rule, Subject, Test, Then};

const CONDITIONS_MAX: usize = 64;
/// In a whole table; each may take 16 KiB of every VM.
const PATTERNS_MAX: usize = 1000;
/// Pseudo-headers that requests have.
const PSEUDO: [&str; 4] = [":authority", ":method", ":path", ":scheme"];

pub(super) fn rule(reader: &mut Reader, value: &Value) -> Option<Rule> {
    let object = reader.object(value)?;
    let when = conditions(reader, object);
    let words = &[
        ("primary", Some(Then::Primary)),
        ("canary", Some(Then::Canary)),
        ("weighted", Some(Then::Weighted)),
    ];
    let then = reader.required(object, "then", |reader, value| reader.word(value, words))?;
    Some(Rule { when, then })
}

pub(super) fn otherwise(reader: &mut Reader, value: &Value) -> Otherwise {
    reader.word(value, &[("weighted", Otherwise::Weighted), ("primary", Otherwise::Primary)])
}

pub(super) fn route_pattern(
    reader: &mut Reader,
    value: &Value,
    names: &mut Unique,
) -> Option<RoutePattern> {
    let object = reader.object(value)?;
    let name = reader.required_text(object, "name", &text::WORD);
    if !name.is_empty() {
        names.check(reader, &name);
    }
    let when = conditions(reader, object);
    let foreign = when.iter().any(|condition| {
        !matches!(condition.of, Subject::Method | Subject::Path | Subject::Authority)
    });
    if foreign {
        reader.problem_at("when", "a route is told by method, path and authority only");
    }
    Some(RoutePattern { name, when })
}

pub(super) fn key_source(reader: &mut Reader, value: &Value) -> Option<KeySource> {
    match reader.kind(value)? {
        ("header", name) => Some(KeySource::Header(header(reader, name))),
        ("cookie", name) => Some(KeySource::Cookie(reader.text(name, &text::COOKIE))),
        ("requestId", _) => Some(KeySource::RequestId),
        (kind, _) => unknown(reader, kind, "header, cookie, requestId"),
    }
}

fn conditions(reader: &mut Reader, object: &Object) -> Vec<Condition> {
    let read = |reader: &mut Reader, value: &Value| reader.list(value, CONDITIONS_MAX, condition);
    reader.optional(object, "when", read).unwrap_or_default()
}

fn condition(reader: &mut Reader, value: &Value) -> Option<Condition> {
    let object = reader.object(value)?;
    let of = reader.required(object, "of", subject);
    let is = reader.required(object, "is", test);
    Some(Condition { of: of?, is: is? })
}

fn subject(reader: &mut Reader, value: &Value) -> Option<Subject> {
    match reader.kind(value)? {
        ("header", name) => Some(Subject::Header(header(reader, name))),
        ("cookie", name) => Some(Subject::Cookie(reader.text(name, &text::COOKIE))),
        ("query", name) => Some(Subject::Query(reader.text(name, &text::NAMED))),
        ("label", name) => Some(Subject::Label(reader.text(name, &text::NAMED))),
        ("method", _) => Some(Subject::Method),
        ("path", _) => Some(Subject::Path),
        ("authority", _) => Some(Subject::Authority),
        (kind, _) => unknown(reader, kind, "header, cookie, query, label, method, path, authority"),
    }
}

fn test(reader: &mut Reader, value: &Value) -> Option<Test> {
    let any = &text::ANY;
    match reader.kind(value)? {
        ("exact", text) => Some(Test::Exact(reader.text(text, any))),
        ("prefix", text) => Some(Test::Prefix(reader.text(text, any))),
        ("suffix", text) => Some(Test::Suffix(reader.text(text, any))),
        ("regex", text) => Some(Test::Regex(pattern(reader, text))),
        ("present", _) => Some(Test::Present),
        ("absent", _) => Some(Test::Absent),
        (kind, _) => unknown(reader, kind, "exact, prefix, suffix, regex, present, absent"),
    }
}

fn header(reader: &mut Reader, value: &Value) -> String {
    match value.as_str() {
        Some(name) if PSEUDO.contains(&name) => name.to_owned(),
        _ => reader.text(value, &text::HEADER),
    }
}

fn pattern(reader: &mut Reader, value: &Value) -> String {
    let pattern = reader.text(value, &text::PATTERN);
    if text::PATTERN.check(&pattern).is_err() || reader.patterns.find(&pattern).is_some() {
        return pattern;
    }
    if reader.patterns.len() >= PATTERNS_MAX {
        reader.problem(format!("at most {PATTERNS_MAX} different patterns are allowed"));
        return pattern;
    }
    match Pattern::compile(&pattern) {
        Ok(compiled) => reader.patterns.insert(&pattern, compiled),
        Err(error) => reader.problem(format!("{} is no pattern: {error}", shown(&pattern))),
    }
    pattern
}

fn unknown<T>(reader: &mut Reader, kind: &str, known: &str) -> Option<T> {
    reader.problem(format!("must be one of {known}, not {}", shown(kind)));
    None
}
