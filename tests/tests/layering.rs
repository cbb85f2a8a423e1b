//! Which crate may depend on which. The list is the architecture; an edge that is not in it fails with its name.

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

/// Every edge between our crates that is allowed, product code only.
const EDGES: &[(&str, &str)] = &[
    ("serin-rollout", "serin-stats"),
    ("serin-rollout", "serin-route"),
    ("serin-api", "serin-rollout"),
    ("serin-api", "serin-route"),
    ("serin-filter", "serin-route"),
    ("serin-probe", "serin-rollout"),
    ("serin-receiver", "serin-route"),
    ("serin-controller", "serin-api"),
    ("serin-controller", "serin-probe"),
    ("serin-controller", "serin-receiver"),
    ("serin-controller", "serin-rollout"),
    ("serin-controller", "serin-route"),
    ("serin-cli", "serin-api"),
    ("serin-cli", "serin-probe"),
    ("serin-cli", "serin-receiver"),
    ("serin-cli", "serin-rollout"),
    ("serin-cli", "serin-route"),
    ("serin-cli", "serin-stats"),
];

/// Crates that drive others on purpose. Nobody but a driver may import one.
const DRIVERS: &[&str] = &[
    "serin-cluster",
    "serin-e2e",
    "serin-e2e-apiserver",
    "serin-e2e-apps",
    "serin-e2e-mesh",
    "serin-istio-stats",
    "serin-tests",
    "xtask",
];

/// The driver that everybody's tests may import: a real API server.
const RIG: &str = "serin-cluster";

/// What the pure crates may pull in from outside, for good reasons given in their Cargo.toml.
const PURE: &[(&str, &[&str])] = &[
    ("serin-route", &["regex-lite", "serde", "serde_json", "siphasher"]),
    ("serin-stats", &["libm", "serde"]),
    ("serin-rollout", &["jiff", "serde"]),
    // Types, their reading and their definitions; no client.
    (
        "serin-api",
        &[
            "jiff",
            "kube",
            "k8s-openapi",
            "schemars",
            "serde",
            "serde-saphyr",
            "serde_json",
            "thiserror",
        ],
    ),
    ("serin-filter", &["proxy-wasm", "serde_json"]),
    ("serin-istio-stats", &["proxy-wasm"]),
];

/// `(from, to, is a development dependency)` for every dependency of our crates.
fn dependencies() -> Vec<(String, String, bool)> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .flat_map(|package| {
            let dependencies = package["dependencies"].as_array().expect("dependencies");
            dependencies.iter().map(|dependency| {
                (
                    package["name"].as_str().expect("name").to_owned(),
                    dependency["name"].as_str().expect("name").to_owned(),
                    dependency["kind"] == "dev",
                )
            })
        })
        .collect()
}

fn is_ours(name: &str) -> bool {
    name.starts_with("serin-") || name == "xtask"
}

#[test]
fn every_edge_between_crates_is_allowed() {
    let seen: BTreeSet<(String, String)> = dependencies()
        .into_iter()
        .filter(|(from, to, dev)| is_ours(to) && !dev && !DRIVERS.contains(&from.as_str()))
        .map(|(from, to, _)| (from, to))
        .collect();
    let allowed: BTreeSet<(String, String)> =
        EDGES.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
    let extra: Vec<_> = seen.difference(&allowed).collect();
    assert!(extra.is_empty(), "edges that ARCHITECTURE.md does not draw: {extra:?}");
    let gone: Vec<_> = allowed.difference(&seen).collect();
    assert!(gone.is_empty(), "edges that no Cargo.toml has any more: {gone:?}");
}

#[test]
fn only_drivers_and_tests_import_a_driver() {
    for (from, to, dev) in dependencies() {
        let allowed = DRIVERS.contains(&from.as_str()) || (dev && to == RIG);
        assert!(allowed || !DRIVERS.contains(&to.as_str()), "{from} must not import {to}");
    }
}

#[test]
fn pure_crates_pull_in_nothing_unnamed() {
    let all = dependencies();
    for (name, allowed) in PURE {
        for (_, to, _) in all.iter().filter(|(from, to, dev)| from == name && !dev && !is_ours(to))
        {
            assert!(allowed.contains(&to.as_str()), "{name} must not depend on {to}");
        }
    }
}
