//! `ConfigMap`s and Secrets: primary gets copies, so that an edit meets the canary first.

use std::collections::BTreeMap;

use kube::core::DynamicObject;
use serde_json::{Map, Value};
use serin_api::keys;

use super::facts::{Facts, Observed};
use super::target::copied;
use super::{Gap, ObjectRef, Wanted};
use crate::kind::Kind;

/// The fields of a `ConfigMap` or Secret that hold its content.
pub(super) const CONTENT: [&str; 2] = ["data", "binaryData"];
/// Secrets of these types are tracked; a registry's or a token's is the cluster's business.
const SECRET_TYPES: [&str; 4] =
    ["Opaque", "kubernetes.io/basic-auth", "kubernetes.io/ssh-auth", "kubernetes.io/tls"];
/// Written by the cluster into every namespace. A copy would go stale, and a new root certificate is no release.
const CLUSTERS_OWN: [&str; 3] =
    ["kube-root-ca.crt", "istio-ca-root-cert", "openshift-service-ca.crt"];

/// A `ConfigMap` or Secret that a pod template refers to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// [`Kind::ConfigMap`] or [`Kind::Secret`].
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Pods start without it.
    pub optional: bool,
}

/// What a pod template refers to, in order and without repetition.
pub fn references(template: &Value) -> Vec<Reference> {
    let mut found = Vec::new();
    let mut template = template.clone();
    for_each(&mut template, &mut |kind, name, optional| {
        found.push(Reference { kind, name: name.clone(), optional });
    });
    found.sort();
    // A reference that is mandatory somewhere is mandatory; `false` sorts first.
    found.dedup_by(|next, kept| next.kind == kept.kind && next.name == kept.name);
    found
}

/// The objects among `configs` that are tracked for a template, in order.
pub(super) fn tracked<'o>(
    template: &Value,
    configs: &'o [DynamicObject],
) -> Vec<(Kind, &'o str, &'o DynamicObject)> {
    let references = references(template);
    let mut found: Vec<_> = configs
        .iter()
        .filter_map(|object| Some((Kind::of(object)?, object.metadata.name.as_deref()?, object)))
        .filter(|(kind, name, object)| {
            let is = |it: &Reference| it.kind == *kind && it.name == *name;
            references.iter().any(is) && is_trackable(*kind, name, object)
        })
        .collect();
    found.sort_by_key(|(kind, name, _)| (*kind, *name));
    found
}

fn is_trackable(kind: Kind, name: &str, object: &DynamicObject) -> bool {
    let annotations = object.metadata.annotations.as_ref();
    let opted_out = [keys::CONFIG_TRACKING, keys::FLAGGER_CONFIG_TRACKING].iter().any(|key| {
        annotations.and_then(|it| it.get(*key)).is_some_and(|value| value.starts_with("disable"))
    });
    let of_type = match kind {
        Kind::Secret => {
            SECRET_TYPES.contains(&object.data["type"].as_str().unwrap_or(SECRET_TYPES[0]))
        }
        _ => true,
    };
    !opted_out && of_type && !CLUSTERS_OWN.contains(&name)
}

/// The names of the copies, by kind and name of the original.
pub(super) type Renamed = BTreeMap<(Kind, String), String>;

/// What primary's template says in place of the originals: the copies of what is tracked, and, at a revision that
/// the target has left, those whose original is gone.
pub(super) fn renamed(template: &Value, seen: &Observed, follows: Follows) -> Renamed {
    let tracked = tracked(template, &seen.configs).into_iter();
    let mut names: Renamed =
        tracked.map(|(kind, name, _)| ((kind, name.to_owned()), copy_name(name))).collect();
    if follows == Follows::Promoted {
        for Reference { kind, name, .. } in references(template) {
            let copy = copy_name(&name);
            if exists(&seen.copies, kind, &copy) {
                names.insert((kind, name), copy);
            }
        }
    }
    names
}

fn copy_name(name: &str) -> String {
    format!("{name}{}", keys::PRIMARY_SUFFIX)
}

fn exists(objects: &[DynamicObject], kind: Kind, name: &str) -> bool {
    objects.iter().any(|it| is(it, kind, name))
}

fn is(object: &DynamicObject, kind: Kind, name: &str) -> bool {
    Kind::of(object) == Some(kind) && object.metadata.name.as_deref() == Some(name)
}

/// Points a template at the copies.
pub(super) fn rename(template: &mut Value, names: &Renamed) {
    for_each(template, &mut |kind, name, _| {
        if let Some(copy) = names.get(&(kind, name.clone())) {
            name.clone_from(copy);
        }
    });
}

/// The copies. While primary stays at a revision that the target has left, their content is known nowhere else:
/// they are left as they are, and one that is gone is made anew from what its original says now.
pub(super) fn copies(facts: &Facts, seen: &Observed, follows: Follows) -> (Vec<Wanted>, Vec<Gap>) {
    let current = &seen.target.data["spec"]["template"];
    let mut gaps = missing(current, seen);
    let apply = |kind, name: &str, source| {
        Wanted::Apply(Box::new(copy_of(facts, kind, &copy_name(name), source)))
    };
    if follows == Follows::Target {
        let tracked = tracked(current, &seen.configs).into_iter();
        return (tracked.map(|(kind, name, source)| apply(kind, name, source)).collect(), gaps);
    }
    let mut wanted: Vec<_> =
        seen.copies.iter().filter_map(ObjectRef::of).map(Wanted::Keep).collect();
    let promoted = seen.promoted_template.as_ref().unwrap_or(&Value::Null);
    for (kind, name, source) in tracked(promoted, &seen.configs) {
        let copy = copy_name(name);
        if !exists(&seen.copies, kind, &copy) {
            wanted.push(apply(kind, name, source));
            gaps.push(Gap::Content { kind, copy });
        }
    }
    (wanted, gaps)
}

/// Whether every tracked object has a copy that says the same.
pub(super) fn are_copied(template: &Value, seen: &Observed) -> bool {
    tracked(template, &seen.configs).into_iter().all(|(kind, name, source)| {
        let copy = copy_name(name);
        let mut copies = seen.copies.iter().filter(|it| is(it, kind, &copy));
        copies.any(|it| CONTENT.iter().all(|part| it.data.get(*part) == source.data.get(*part)))
    })
}

/// What primary runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    /// The target's revision.
    Target,
    /// An earlier one.
    Promoted,
}

fn missing(template: &Value, seen: &Observed) -> Vec<Gap> {
    let mandatory = references(template).into_iter().filter(|it| !it.optional);
    let gone = mandatory.filter(|it| !exists(&seen.configs, it.kind, &it.name));
    gone.map(|it| Gap::Missing { kind: it.kind, name: it.name }).collect()
}

fn copy_of(facts: &Facts, kind: Kind, name: &str, source: &DynamicObject) -> DynamicObject {
    let mut data = Map::new();
    // Not `immutable`: the copy of the next revision has the same name.
    for part in ["type"].iter().chain(&CONTENT) {
        if let Some(content) = source.data.get(*part).filter(|content| !content.is_null()) {
            data.insert((*part).to_owned(), content.clone());
        }
    }
    let mut object = facts.identity.object(kind, name, Value::Object(data));
    let labels = copied(source.metadata.labels.as_ref());
    let ours = object.metadata.labels.take().unwrap_or_default();
    object.metadata.labels = Some(labels.into_iter().chain(ours).collect());
    object
}

/// Visits every name of a `ConfigMap` or Secret in a template: volumes, and the environment of all containers.
fn for_each(template: &mut Value, visit: &mut impl FnMut(Kind, &mut String, bool)) {
    let Some(spec) = template.get_mut("spec") else { return };
    for volume in items(spec, "volumes") {
        at(volume, "configMap", "name", Kind::ConfigMap, visit);
        at(volume, "secret", "secretName", Kind::Secret, visit);
        for source in volume.get_mut("projected").into_iter().flat_map(|it| items(it, "sources")) {
            at(source, "configMap", "name", Kind::ConfigMap, visit);
            at(source, "secret", "name", Kind::Secret, visit);
        }
    }
    for containers in ["initContainers", "containers"] {
        for container in items(spec, containers) {
            for from in items(container, "env").filter_map(|entry| entry.get_mut("valueFrom")) {
                at(from, "configMapKeyRef", "name", Kind::ConfigMap, visit);
                at(from, "secretKeyRef", "name", Kind::Secret, visit);
            }
            for entry in items(container, "envFrom") {
                at(entry, "configMapRef", "name", Kind::ConfigMap, visit);
                at(entry, "secretRef", "name", Kind::Secret, visit);
            }
        }
    }
}

fn at(
    of: &mut Value,
    field: &str,
    name: &str,
    kind: Kind,
    visit: &mut impl FnMut(Kind, &mut String, bool),
) {
    let Some(reference) = of.get_mut(field) else { return };
    let optional = reference["optional"].as_bool().unwrap_or(false);
    if let Some(Value::String(name)) = reference.get_mut(name) {
        visit(kind, name, optional);
    }
}

/// The items of a field that is a list; none of anything else.
pub(super) fn items<'v>(of: &'v mut Value, field: &str) -> impl Iterator<Item = &'v mut Value> {
    of.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten()
}

#[cfg(test)]
mod tests;
