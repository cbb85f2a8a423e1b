//! Conditions on requests: a Canary's `match` and `routes` as the filter tests them.

use std::collections::BTreeMap;

use serin_route::{Condition, RoutePattern, Subject, TRACK_HEADER, Test};

use crate::Problems;
use crate::canary::{MatchRule, NamedRoute, TextMatch};
use crate::field::Field;

/// A condition, and the field that asks for it.
pub(super) type Traced = (Condition, Field);

/// The conditions of one entry of `match`.
pub(super) fn conditions(rule: &MatchRule, field: &Field, problems: &mut Problems) -> Vec<Traced> {
    let mut traced = Vec::new();
    let mut add = |map: &str, entries: &BTreeMap<String, TextMatch>, of: fn(String) -> Subject| {
        for (name, given) in entries {
            let field = field.at(map).at(name);
            if map == "headers" {
                not_ours(name, &field, problems);
            }
            let is = test(given, &field, problems);
            traced.push((Condition { of: of(name.clone()), is }, field));
        }
    };
    add("headers", &rule.headers, |name| Subject::Header(name.to_ascii_lowercase()));
    add("cookies", &rule.cookies, Subject::Cookie);
    add("queryParams", &rule.query_params, Subject::Query);
    for (label, value) in &rule.source_labels {
        let condition =
            Condition { of: Subject::Label(label.clone()), is: Test::Exact(value.clone()) };
        traced.push((condition, field.at("sourceLabels").at(label)));
    }
    if traced.is_empty() {
        let rule = "needs a condition: headers, cookies, queryParams or sourceLabels";
        problems.add(field, rule);
    }
    traced
}

/// A caller's steering header is removed before anything looks at it.
pub(super) fn not_ours(header: &str, field: &Field, problems: &mut Problems) {
    if header.eq_ignore_ascii_case(TRACK_HEADER) {
        problems.add(field, "is the filter's own header, which no caller's request keeps");
    }
}

/// A route that is counted apart, and the fields that ask for its conditions.
pub(super) fn route(
    given: &NamedRoute,
    field: &Field,
    problems: &mut Problems,
) -> (RoutePattern, Vec<Field>) {
    let field = field.at("match");
    let mut traced: Vec<Traced> = Vec::new();
    if given.matching.len() != 1 {
        let rule = "needs exactly one entry; more are valid but not supported yet";
        problems.add(&field, format!("{rule}, not {}", given.matching.len()));
    }
    if let Some(only) = given.matching.first() {
        let field = field.nth(0);
        let parts = [
            ("path", Subject::Path, &only.path),
            ("method", Subject::Method, &only.method),
            ("authority", Subject::Authority, &only.authority),
        ];
        for (name, of, given) in parts {
            let Some(given) = given else { continue };
            let field = field.at(name);
            let is = test(given, &field, problems);
            traced.push((Condition { of, is }, field));
        }
        if traced.is_empty() {
            problems.add(field, "needs path, method or authority");
        }
    }
    let (when, fields) = traced.into_iter().unzip();
    (RoutePattern { name: given.name.clone(), when }, fields)
}

/// At most one of the tests; none asks for presence.
fn test(given: &TextMatch, field: &Field, problems: &mut Problems) -> Test {
    let TextMatch { exact, prefix, suffix, regex } = given.clone();
    let tests = [
        exact.map(Test::Exact),
        prefix.map(Test::Prefix),
        suffix.map(Test::Suffix),
        regex.map(Test::Regex),
    ];
    let mut tests = tests.into_iter().flatten();
    let first = tests.next().unwrap_or(Test::Present);
    if tests.next().is_some() {
        problems.add(field, "needs only one of exact, prefix, suffix and regex");
    }
    first
}
