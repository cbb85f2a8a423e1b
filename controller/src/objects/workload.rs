//! The primary workload: the target's copy that serves by default.

use kube::core::DynamicObject;
use serde_json::{Map, Value, json};
use serin_api::keys;
use serin_rollout::Desired;

use super::config::{self, Follows};
use super::facts::{Facts, Observed};
use super::target::{Target, available, copied};
use super::{Gap, ObjectRef, Wanted, template};
use crate::kind::Kind;

/// Fields of the target's `spec` that are copied as they stand.
const COPIED: [&str; 4] =
    ["progressDeadlineSeconds", "minReadySeconds", "revisionHistoryLimit", "strategy"];

/// Whether primary runs what the target says now.
pub(super) fn follows(desired: &Desired, seen: &Observed) -> Follows {
    // Nothing has been promoted yet, so the target may be corrected; but what serves is not overwritten unasked.
    let serves = seen.primary.as_ref().is_some_and(|primary| available(primary) > 0);
    let first = !desired.initialized && !serves;
    match &desired.primary_revision {
        Some(revision) if *revision != seen.revision && !first => Follows::Promoted,
        _ => Follows::Target,
    }
}

/// The primary workload, and what about it cannot be restored.
pub(super) fn primary(
    facts: &Facts,
    desired: &Desired,
    seen: &Observed,
    target: &Target<'_>,
) -> (Wanted, Option<Gap>) {
    let source = match follows(desired, seen) {
        Follows::Target => Some(target.template()),
        Follows::Promoted => seen.promoted_template.as_ref(),
    };
    if let Some(source) = source {
        return (deployment(facts, desired, seen, target, source), None);
    }
    let name = primary_name(facts);
    let gap = seen.primary.is_none().then(|| Gap::Template { name: name.clone() });
    (Wanted::Keep(ObjectRef { kind: Kind::Deployment, name }), gap)
}

/// The revision that an observed primary runs once it is ready: its mark, or what was noted when it was taken over,
/// or what its template says without words. None for one that runs something else.
pub fn primary_revision(seen: &Observed) -> Option<String> {
    let noted = noted(seen.primary.as_ref()?).map(str::to_owned);
    noted.or_else(|| runs_the_targets(seen).then(|| seen.revision.clone()))
}

/// Whether primary's template is what the target's would become, and its copies say what their originals say.
pub(super) fn runs_the_targets(seen: &Observed) -> bool {
    let (Some(primary), Ok(target)) = (&seen.primary, Target::read(&seen.target)) else {
        return false;
    };
    let names = config::renamed(target.template(), seen, Follows::Target);
    let expected = template::primary(&target, target.template(), &names);
    is_like(primary, &expected) && config::are_copied(target.template(), seen)
}

pub(super) fn primary_name(facts: &Facts) -> String {
    format!("{}{}", facts.target, keys::PRIMARY_SUFFIX)
}

fn deployment(
    facts: &Facts,
    desired: &Desired,
    seen: &Observed,
    target: &Target<'_>,
    source: &Value,
) -> Wanted {
    let follows = follows(desired, seen);
    let names = config::renamed(source, seen, follows);
    let mut template = template::primary(target, source, &names);
    let revision = match follows {
        Follows::Target => &seen.revision,
        Follows::Promoted => desired.primary_revision.as_ref().unwrap_or(&seen.revision),
    };
    let silent = is_taken_over(seen, &template, revision);
    if !silent {
        template::mark(&mut template, revision);
    }
    // Not `replicas`: they are an autoscaler's, or a person's, once there are any; see [`super::scale`].
    let mut spec = Map::new();
    for field in COPIED {
        if let Some(value) = target.spec.get(field).filter(|value| !value.is_null()) {
            spec.insert(field.to_owned(), value.clone());
        }
    }
    spec.insert("selector".to_owned(), json!({ "matchLabels": target.primary_selector() }));
    spec.insert("template".to_owned(), template);
    let mut object =
        facts.identity.object(Kind::Deployment, &primary_name(facts), json!({ "spec": spec }));
    let labels = object.metadata.labels.get_or_insert_default();
    labels.extend(target.primary_selector());
    let annotations = object.metadata.annotations.get_or_insert_default();
    for (key, value) in copied(target.object.metadata.annotations.as_ref()) {
        annotations.entry(key).or_insert(value);
    }
    if silent {
        annotations.insert(keys::TAKEN_OVER_REVISION.to_owned(), revision.clone());
    }
    Wanted::Apply(Box::new(object))
}

/// Whether primary came from another controller and runs this revision already: a mark would replace its pods for
/// nothing.
fn is_taken_over(seen: &Observed, template: &Value, revision: &str) -> bool {
    let Some(primary) = &seen.primary else { return false };
    match (template::marked(template_of(primary)), taken_over(primary)) {
        (Some(_), _) => false,
        (None, Some(noted)) => noted == revision,
        (None, None) => is_like(primary, template),
    }
}

fn is_like(primary: &DynamicObject, template: &Value) -> bool {
    template::unmarked(template_of(primary)) == *template
}

/// The revision that a primary is said to run.
pub(super) fn noted(primary: &DynamicObject) -> Option<&str> {
    template::marked(template_of(primary)).or_else(|| taken_over(primary))
}

fn taken_over(primary: &DynamicObject) -> Option<&str> {
    let annotations = primary.metadata.annotations.as_ref()?;
    annotations.get(keys::TAKEN_OVER_REVISION).map(String::as_str)
}

fn template_of(primary: &DynamicObject) -> &Value {
    &primary.data["spec"]["template"]
}

#[cfg(test)]
mod tests;
