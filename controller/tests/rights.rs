//! The rights that are installed are those that the code names: no more, no fewer, and no wildcard.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;

use serde_json::Value;
use serin_controller::rights::{Right, at_home, everywhere};

const FILE: &str = include_str!("../../deploy/base/rights.yaml");

/// A right as text, since verbs of a file are any.
type Line = (String, String, Option<String>, String);

fn named(rights: BTreeSet<Right>) -> BTreeSet<Line> {
    let line = |it: Right| (it.group, it.resource, it.name, it.verb.to_owned());
    rights.into_iter().map(line).collect()
}

fn installed(kind: &str) -> BTreeSet<Line> {
    let objects: Vec<Value> = serde_saphyr::from_multiple(FILE).unwrap();
    let role = objects.iter().find(|it| it["kind"] == kind).unwrap();
    let texts = |it: &Value| -> Vec<String> {
        let all = it.as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().map(|it| it.as_str().unwrap().to_owned()).collect()
    };
    let mut lines = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        let mut names: Vec<_> = texts(&rule["resourceNames"]).into_iter().map(Some).collect();
        if names.is_empty() {
            names.push(None);
        }
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                for name in &names {
                    for verb in texts(&rule["verbs"]) {
                        let line = (group.clone(), resource.clone(), name.clone(), verb);
                        assert!(lines.insert(line.clone()), "twice: {line:?}");
                    }
                }
            }
        }
    }
    lines
}

fn same(installed: &BTreeSet<Line>, named: &BTreeSet<Line>) {
    let missing: Vec<_> = named.difference(installed).collect();
    assert!(missing.is_empty(), "deploy/base/rights.yaml lacks {missing:?}");
    let extra: Vec<_> = installed.difference(named).collect();
    assert!(extra.is_empty(), "deploy/base/rights.yaml allows what no code asks: {extra:?}");
}

#[test]
fn the_cluster_role_is_what_the_code_asks() {
    same(&installed("ClusterRole"), &named(everywhere()));
}

#[test]
fn the_role_at_home_is_what_the_code_asks() {
    same(&installed("Role"), &named(at_home()));
}

#[test]
fn nothing_is_allowed_by_a_wildcard() {
    for (group, resource, _, verb) in installed("ClusterRole").into_iter().chain(installed("Role"))
    {
        assert!(![&group, &resource, &verb].iter().any(|it| it.contains('*')), "{resource}");
    }
}
