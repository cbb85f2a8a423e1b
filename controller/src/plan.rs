//! What a Canary means, or why nothing is done for it.

use serin_api::{Canary, Given, MetricTemplate, Problems, Release, release};

/// What the type of the API takes and this controller does not carry out yet.
const NOT_YET: &str = "is valid but not supported yet";

/// What a Canary means, or everything that is wrong with it. What is not built yet is named, never ignored.
pub(crate) fn plan(canary: &Canary, templates: &[MetricTemplate]) -> Result<Release, Problems> {
    let mut problems = Problems::default();
    for field in unsupported(canary) {
        problems.add(field, NOT_YET);
    }
    problems.or(())?;
    release(canary, &Given { templates, ..Given::default() })
}

/// Fields that wait for their turn: a line goes when its field is carried out.
fn unsupported(canary: &Canary) -> Vec<String> {
    let spec = &canary.spec;
    let delegation = spec.service.as_ref().is_some_and(|service| service.delegation);
    let whole = [
        ("spec.revertOnDeletion", spec.revert_on_deletion),
        ("spec.service.delegation", delegation),
    ];
    whole.into_iter().filter(|(_, used)| *used).map(|(field, _)| field.to_owned()).collect()
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
