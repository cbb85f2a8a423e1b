//! What is made for a Canary, phase by phase: a cluster with Istio takes every object as it is, and takes it a second
//! time without a change.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use serin_api::keys;
use serin_cluster::{apiserver::ApiServer, say};
use serin_e2e_apiserver::{namespace, objects, path, repository, with_istio};

const NAMESPACES: [&str; 4] = ["prod", "test", "istio-system", "edge"];
/// Controllers of the cluster write into Deployments and autoscalers between two requests of ours.
const ATTEMPTS: usize = 20;

#[test]
fn a_cluster_takes_every_object_of_every_phase_and_a_second_time_changes_nothing() {
    let server = with_istio().expect("an API server with Istio's definitions");
    for name in NAMESPACES {
        namespace(&server, name).expect("a namespace");
    }
    let mut cases = sorted(&repository("controller/golden"));
    cases.retain(|case| case.is_dir());
    assert!(cases.len() > 5, "{cases:?}");
    for case in cases {
        let applied = live(&server, &case);
        assert!(applied > 15, "{}: only {applied} objects", case.display());
        say::note(&format!("{}: {applied} objects taken, twice", case.display()));
    }
}

/// Lives through a case and removes what it made.
fn live(server: &ApiServer, case: &Path) -> usize {
    let read = |name: &str| objects(&case.join(name)).expect("YAML");
    let mut there: Vec<String> = Vec::new();
    for object in read("given.yaml") {
        there.push(make(server, &object));
    }
    let canary = read("canary.yaml").remove(0);
    let owner = path(&canary).expect("a path");
    there.push(make(server, &canary));
    let uid = server.get(&owner).expect("the Canary")["metadata"]["uid"].clone();
    let mut applied = 0;
    for phase in phases(case) {
        for mut object in objects(&phase).expect("YAML") {
            own(&mut object, &uid);
            let at = path(&object).expect("a path");
            let context = format!("{}: {at}", phase.display());
            let stored = apply(server, &at, &object);
            let stored = stored.unwrap_or_else(|error| panic!("{context}: {error:#}"));
            assert_kept(&stored, &object, &context);
            assert_idle(server, &at, &object, &context);
            there.push(at);
            applied += 1;
        }
    }
    for at in there {
        // Some are there more than once, and the Canary takes its own with it.
        let _ = server.delete(&at);
    }
    applied
}

/// By someone else's hands: whoever wrote the Canary.
fn make(server: &ApiServer, object: &Value) -> String {
    let at = path(object).expect("a path");
    let made = server.apply(&at, "author", object);
    made.unwrap_or_else(|error| panic!("{at}: {error:#}"));
    at
}

fn apply(server: &ApiServer, at: &str, object: &Value) -> anyhow::Result<Value> {
    server.apply(at, keys::FIELD_MANAGER, object)
}

/// Applying it once more leaves it alone.
fn assert_idle(server: &ApiServer, at: &str, object: &Value, context: &str) {
    let mut before = server.get(at).expect("it is there");
    for _ in 0..ATTEMPTS {
        let after = apply(server, at, object).expect("it is taken again");
        if before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"] {
            return;
        }
        before = after;
    }
    let after = apply(server, at, object).expect("it is taken again");
    panic!("{context} changes whenever it is applied, from\n{before:#}\nto\n{after:#}");
}

/// The files of the phases, in order of their numbers.
fn phases(case: &Path) -> Vec<PathBuf> {
    let number = |file: &PathBuf| -> Option<u32> {
        file.file_name()?.to_str()?.split_once('-')?.0.parse().ok()
    };
    let mut files = sorted(case);
    files.retain(|file| number(file).is_some());
    files.sort_by_key(number);
    assert!(files.len() > 5, "{files:?}");
    files
}

fn sorted(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory of golden files");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// The Canary here has an identity of its own, and what is owned by nobody is collected.
fn own(object: &mut Value, uid: &Value) {
    let owners = object.pointer_mut("/metadata/ownerReferences").and_then(Value::as_array_mut);
    for owner in owners.into_iter().flatten() {
        owner["uid"] = uid.clone();
    }
}

/// Whatever was applied is there; the API server adds its defaults.
fn assert_kept(stored: &Value, applied: &Value, context: &str) {
    match (stored, applied) {
        (Value::Object(stored), Value::Object(applied)) => {
            for (name, value) in applied {
                let kept = stored.get(name).unwrap_or(&Value::Null);
                assert_kept(kept, value, &format!("{context}: {name}"));
            }
        }
        (Value::Array(stored), Value::Array(applied)) if stored.len() == applied.len() => {
            for (stored, applied) in stored.iter().zip(applied) {
                assert_kept(stored, applied, context);
            }
        }
        _ => assert_eq!(stored, applied, "{context}"),
    }
}
