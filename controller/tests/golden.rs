//! Whole sets of objects, for several Canaries in every phase. `UPDATE_GOLDEN=1` writes them anew; read the
//! difference.
//!
//! Each directory of `golden/` is a case: `canary.yaml` is what its author wrote, `given.yaml` what else was there,
//! and the rest is ours: everything in the first phase, and in each further one what differs from the one before.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use common::{World, before, status};
use kube::core::DynamicObject;
use serde_json::Value;
use serin_controller::objects::Wanted;
use serin_rollout::{Phase, Stage, Status};

/// The phases of a release that fails while it is being promoted, and of one that succeeds; each follows the one
/// before.
fn phases(old: &str, new: &str) -> Vec<(&'static str, Status)> {
    vec![
        ("1-initializing", before(Phase::Initializing, old)),
        ("2-initialized", before(Phase::Initialized, old)),
        ("3-preparing", status(Phase::Progressing, Stage::Preparing, 0, old, new)),
        ("4-progressing", status(Phase::Progressing, Stage::Analysing, 10, old, new)),
        ("5-failing", status(Phase::Failed, Stage::Ending, 0, old, new)),
        ("6-failed", status(Phase::Failed, Stage::Settled, 0, old, new)),
        ("7-promoting", status(Phase::Promoting, Stage::Analysing, 50, old, new)),
        ("8-failover", status(Phase::Failed, Stage::Failover, 50, old, new)),
        ("9-finalising", status(Phase::Finalising, Stage::Ending, 0, old, new)),
        ("10-succeeded", status(Phase::Succeeded, Stage::Settled, 0, old, new)),
    ]
}

fn cases() -> Vec<PathBuf> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let entries = std::fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    cases.sort();
    assert!(cases.len() >= 6, "{cases:?}");
    cases
}

fn world(case: &Path) -> World {
    let text = |name: &str| std::fs::read_to_string(case.join(name)).unwrap();
    let read = serin_api::read(&text("canary.yaml"));
    let mut given = read.unwrap_or_else(|problems| panic!("{}: {problems}", case.display()));
    given.canary.metadata.uid = Some("00000000-0000-4000-8000-00000000cafe".to_owned());
    World::new(&given, &parsed(&text("given.yaml")))
}

fn parsed(text: &str) -> Vec<DynamicObject> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    all.into_iter().map(|it| serde_json::from_value(it).unwrap()).collect()
}

/// The objects of a case as they were last shown.
type Shown = BTreeMap<(String, String, String), DynamicObject>;

/// What a phase changes, as `kubectl apply` reads it; what is no object is a comment.
fn shown(world: &World, status: &Status, before: &mut Shown) -> String {
    let made = world.objects(status);
    let mut text = String::new();
    for gap in &made.gaps {
        writeln!(text, "# gap: {gap}").unwrap();
    }
    let lists = [&made.services, &made.destination_rules, &made.configs];
    let singles = made.virtual_service.iter().chain([&made.primary]).chain(&made.autoscaler);
    for wanted in lists.into_iter().flatten().chain(singles) {
        if let Wanted::Keep(kept) = wanted {
            writeln!(text, "# keep: {kept}").unwrap();
        }
    }
    for scale in &made.scales {
        writeln!(text, "# scale: Deployment {} to {}", scale.name, scale.replicas).unwrap();
    }
    let mut unchanged = 0;
    for object in made.applied().chain(world.plugins(status)) {
        if before.get(&key(&object)) == Some(&object) {
            unchanged += 1;
            continue;
        }
        let yaml = serde_saphyr::to_string(&serde_json::to_value(&object).unwrap()).unwrap();
        write!(text, "---\n{yaml}").unwrap();
        before.insert(key(&object), object);
    }
    format!("# {unchanged} as before\n{text}")
}

fn key(object: &DynamicObject) -> (String, String, String) {
    let metadata = object.metadata.clone();
    let kind = object.types.clone().unwrap().kind;
    (kind, metadata.namespace.unwrap(), metadata.name.unwrap())
}

fn golden(path: &Path, actual: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    let path = path.display();
    assert!(
        expected == actual,
        "{path} is stale; UPDATE_GOLDEN=1 writes it. Now it would be:\n{actual}"
    );
}

#[test]
fn every_phase_of_every_case_is_as_it_was() {
    for case in cases() {
        let mut world = world(&case);
        let old = world.seen.revision.clone();
        let mut next = world.seen.clone();
        std::mem::swap(&mut world.seen, &mut next);
        world.set_image("registry.example/app:2");
        let new = world.seen.revision.clone();
        world.seen = next;
        let mut before = Shown::new();
        for (name, status) in phases(&old, &new) {
            if name.starts_with("3-") {
                world.set_image("registry.example/app:2");
            }
            let text = shown(&world, &status, &mut before);
            for object in parsed(&text) {
                assert_eq!(before[&key(&object)], object, "{name} is not what it shows");
            }
            golden(&case.join(format!("{name}.yaml")), &text);
            let made = world.objects(&status);
            world.apply(&made);
        }
    }
}
