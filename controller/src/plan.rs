//! What a Canary means, or why nothing is done for it.

use serin_api::{Canary, Given, MetricTemplate, Problems, Release, release};

/// What a Canary means, or everything that is wrong with it.
pub(crate) fn plan(canary: &Canary, templates: &[MetricTemplate]) -> Result<Release, Problems> {
    release(canary, &Given { templates, ..Given::default() })
}

/// The target does not exist.
pub(crate) fn no_target(canary: &Canary) -> Problems {
    let (name, namespace) = (&canary.spec.target_ref.name, canary.namespace());
    let mut problems = Problems::default();
    problems
        .add("spec.targetRef", format!("there is no Deployment {name} in namespace {namespace}"));
    problems
}

/// Another Canary had the target first. Two would take it from each other for ever.
pub(crate) fn rival(canary: &Canary, all: &[Canary]) -> Result<(), Problems> {
    let age = |it: &Canary| {
        let created = it.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (created, it.metadata.uid.clone())
    };
    let mut older = all.iter().filter(|it| {
        let same = it.spec.target_ref.name == canary.spec.target_ref.name;
        (same || it.apex() == canary.apex())
            && it.namespace() == canary.namespace()
            && it.metadata.uid != canary.metadata.uid
            && age(it) < age(canary)
    });
    let Some(first) = older.next() else { return Ok(()) };
    let mut problems = Problems::default();
    let (name, group) = (first.name(), first.group.name());
    problems.add(
        "spec.targetRef",
        format!("Canary {name} of {group}, which is older, has this target or this service"),
    );
    Err(problems)
}
