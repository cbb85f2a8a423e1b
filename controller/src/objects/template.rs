//! Primary's pod template: the target's, with other labels, and with its own copies of what it reads.

use serde_json::{Map, Value, json};
use serin_api::keys;

use super::config::{self, Renamed};
use super::target::{Target, retain_copied};

/// The pod template that primary runs for one of the target's, without the mark of its revision.
pub(super) fn primary(target: &Target<'_>, template: &Value, names: &Renamed) -> Value {
    let mut copy = template.clone();
    let metadata = field(&mut copy, "metadata");
    for part in ["labels", "annotations"] {
        metadata.get_mut(part).into_iter().for_each(retain_copied);
    }
    let labels = field(metadata, "labels");
    labels[target.label] = target.primary_value().into();
    // A template that comes from a ReplicaSet carries the hash of that set.
    labels.as_object_mut().into_iter().for_each(|it| drop(it.remove("pod-template-hash")));
    config::rename(&mut copy, names);
    copy.get_mut("spec").into_iter().for_each(|spec| spread(spec, target));
    without_nulls(&mut copy);
    copy
}

/// Marks a template with the revision it runs.
pub(super) fn mark(template: &mut Value, revision: &str) {
    let annotations = field(field(template, "metadata"), "annotations");
    annotations[keys::REVISION] = revision.into();
}

/// The revision that a template says it runs.
pub(super) fn marked(template: &Value) -> Option<&str> {
    template["metadata"]["annotations"][keys::REVISION].as_str()
}

/// What remains of a template when the marks of both controllers are taken away.
pub(super) fn unmarked(template: &Value) -> Value {
    let mut bare = template.clone();
    if let Some(annotations) = bare.pointer_mut("/metadata/annotations") {
        if let Some(map) = annotations.as_object_mut() {
            map.remove(keys::REVISION);
            map.remove(keys::FLAGGER_ID);
        }
        if annotations.as_object().is_some_and(Map::is_empty) {
            *annotations = Value::Null;
        }
    }
    without_nulls(&mut bare);
    bare
}

/// Pods of primary keep away from pods of primary, not from the target's.
fn spread(spec: &mut Value, target: &Target<'_>) {
    let select = |of: &mut Value| {
        of.get_mut("labelSelector").into_iter().for_each(|it| select_primary(it, target));
    };
    config::items(spec, "topologySpreadConstraints").for_each(select);
    let Some(terms) = spec.pointer_mut("/affinity/podAntiAffinity") else { return };
    config::items(terms, "requiredDuringSchedulingIgnoredDuringExecution").for_each(select);
    config::items(terms, "preferredDuringSchedulingIgnoredDuringExecution")
        .filter_map(|term| term.get_mut("podAffinityTerm"))
        .for_each(select);
}

fn select_primary(selector: &mut Value, target: &Target<'_>) {
    let lead = |value: &mut Value| {
        if value.as_str() == Some(target.value) {
            *value = target.primary_value().into();
        }
    };
    selector.pointer_mut(&format!("/matchLabels/{}", escaped(target.label))).map(lead);
    config::items(selector, "matchExpressions")
        .filter(|expression| expression["key"] == target.label)
        .flat_map(|expression| config::items(expression, "values"))
        .for_each(lead);
}

/// A key as a part of a JSON pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// A field that is an object; made so if it was not.
fn field<'v>(of: &'v mut Value, name: &str) -> &'v mut Value {
    if !of.is_object() {
        *of = json!({});
    }
    let value = &mut of[name];
    if !value.is_object() {
        *value = json!({});
    }
    value
}

/// API servers return nulls (`creationTimestamp`); applied, they would be wishes.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
