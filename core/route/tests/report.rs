//! Reading reports: what a receiver takes, and what it refuses in which words.
#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "a test may end so")]

use serde_json::{Value, json};
use serin_route::{KeyHash, Report, ReportError, Side};

fn report() -> Value {
    json!({
        "version": 1, "scope": "prod", "proxy": "sidecar~10.0.0.1~a.prod", "namespace": "prod",
        "boot": "00112233445566ff", "sequence": 3,
        "rollouts": [{
            "name": "shop", "namespace": "prod", "run": "r1", "generation": 2,
            "generations": [{
                "generation": 1, "edgesMs": [10, 20],
                "cells": [{
                    "track": "canary", "assignment": "sticky", "route": "pay",
                    "requests": 9, "failures": 2, "resets": 1,
                    "latency": { "done": [1, 2, 3], "censored": [] },
                    "upstreams": [{ "address": "10.0.0.9:80", "failures": 2 }]
                }],
                "keyed": [{ "track": "canary", "atRisk": 5, "failed": ["00000000000000ff"] }]
            }]
        }]
    })
}

fn parse(report: &Value) -> Result<Report, ReportError> {
    Report::parse(report.to_string().as_bytes())
}

/// What is said of a report with one value replaced.
fn refusal(pointer: &str, value: &Value) -> String {
    let mut report = report();
    *report.pointer_mut(pointer).unwrap() = value.clone();
    parse(&report).unwrap_err().to_string()
}

#[test]
fn a_report_is_read() {
    let report = parse(&report()).unwrap();
    let generation = &report.rollouts[0].generations[0];
    assert_eq!(generation.cells[0].failures, 2);
    assert_eq!(generation.keyed[0].failed, [KeyHash(255)]);
    assert_eq!(
        serde_json::from_value::<Report>(serde_json::to_value(&report).unwrap()).unwrap(),
        report
    );
}

#[test]
fn a_report_that_does_not_say_its_side_is_a_callers() {
    let mut report = report();
    assert_eq!(parse(&report).unwrap().side, Side::Client);
    report["side"] = json!("server");
    assert_eq!(parse(&report).unwrap().side, Side::Server);
    report["side"] = json!("upside");
    assert!(matches!(parse(&report), Err(ReportError::Malformed(_))));
}

#[test]
fn unknown_fields_are_ignored() {
    let mut report = report();
    report["colour"] = json!("red");
    assert!(parse(&report).is_ok());
}

#[test]
fn another_version_is_named_whatever_its_shape() {
    let refused = "this receiver speaks version 1, the report is version 2";
    assert_eq!(refusal("/version", &json!(2)), refused);
    let other = parse(&json!({ "version": 2, "rollouts": 7 })).unwrap_err();
    assert_eq!(other.to_string(), refused);
    assert!(matches!(parse(&json!({ "version": 1 })), Err(ReportError::Malformed(_))));
    assert!(matches!(parse(&json!({ "version": -1 })), Err(ReportError::Malformed(_))));
}

#[test]
fn every_bound_is_kept() {
    let generation = "/rollouts/0/generations/0";
    let cell = format!("{generation}/cells/0");
    let place = "rollouts[0].generations[0]";
    let keys: Vec<String> = (0..4097).map(|key| format!("{key:016x}")).collect();
    let upstream = json!({ "address": "a", "failures": 1 });
    for (pointer, value, refused) in [
        ("/boot".into(), json!("+0112233445566ff"), "boot: must be 16 hexadecimal digits".into()),
        ("/scope".into(), json!("a\u{1b}[2J"), "scope: must hold no control characters".into()),
        ("/proxy".into(), json!("x".repeat(513)), "proxy: at most 512 are allowed, not 513".into()),
        (format!("{generation}/edgesMs"), json!([10, 10]), format!("{place}.edgesMs: must rise")),
        (
            format!("{generation}/edgesMs"),
            json!([10]),
            format!("{place}.cells[0].latency.done: at most 2 are allowed, not 3"),
        ),
        (
            format!("{cell}/failures"),
            json!(10),
            format!("{place}.cells[0].failures: 10 cannot be more than requests, 9"),
        ),
        (
            format!("{cell}/requests"),
            json!(u64::MAX),
            format!(
                "{place}.cells[0].requests: at most 9007199254740992 is allowed, not {}",
                u64::MAX
            ),
        ),
        (
            format!("{cell}/upstreams"),
            json!([upstream, upstream]),
            format!("{place}.cells[0].upstreams[1]: is there already"),
        ),
        (
            format!("{generation}/keyed/0/failed"),
            json!(keys),
            format!("{place}.keyed[0].failed: at most 4096 are allowed, not 4097"),
        ),
    ] {
        assert_eq!(refusal(&pointer, &value), refused);
    }
}

#[test]
fn nothing_is_told_twice() {
    let report = report();
    for (list, place) in [
        ("/rollouts", "rollouts[1]"),
        ("/rollouts/0/generations", "rollouts[0].generations[1]"),
        ("/rollouts/0/generations/0/cells", "rollouts[0].generations[0].cells[1]"),
        ("/rollouts/0/generations/0/keyed", "rollouts[0].generations[0].keyed[1]"),
    ] {
        let first = report.pointer(list).unwrap()[0].clone();
        assert_eq!(refusal(list, &json!([first, first])), format!("{place}: is there already"));
    }
}

#[test]
fn a_key_is_16_digits() {
    for bad in ["ff", "+0000000000000ff", "00000000000000fg", "000000000000000ff"] {
        let refused = refusal("/rollouts/0/generations/0/keyed/0/failed", &json!([bad]));
        assert!(refused.contains("a key's hash is 16 hexadecimal digits"), "{refused}");
    }
}

#[test]
fn a_large_body_is_not_even_read() {
    let large = vec![b'['; (16 << 20) + 1];
    assert_eq!(Report::parse(&large), Err(ReportError::TooLarge((16 << 20) + 1)));
}
