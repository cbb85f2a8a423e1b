//! Primary's autoscaler: a copy of the target's that scales primary.
//!
//! It follows the target's at once, not at the next promotion only: how many pods serve is no part of a release.

use kube::core::DynamicObject;
use serde_json::{Map, Value, json};
use serin_api::canary::AutoscalerRef;
use serin_api::keys;

use super::facts::{Facts, Observed};
use super::target::copied;
use super::workload::primary_name;
use super::{Gap, Wanted};
use crate::kind::Kind;

/// Fields of `spec` that are copied as they stand.
const COPIED: [&str; 4] = ["minReplicas", "maxReplicas", "metrics", "behavior"];

/// The copy, if the Canary names an autoscaler.
pub(super) fn autoscaler(facts: &Facts, seen: &Observed) -> (Option<Wanted>, Option<Gap>) {
    let Some(reference) = &facts.autoscaler else { return (None, None) };
    match &seen.autoscaler {
        Some(source) => (Some(Wanted::Apply(Box::new(copy(facts, reference, source)))), None),
        None => (None, Some(Gap::Missing { kind: Kind::Autoscaler, name: reference.name.clone() })),
    }
}

/// The least replicas of primary, if an autoscaler decides.
pub(super) fn least(facts: &Facts, seen: &Observed) -> Option<i32> {
    let given = facts.autoscaler.as_ref()?.primary_scaler_replicas;
    let given = given.and_then(|replicas| replicas.min_replicas);
    let source = || seen.autoscaler.as_ref()?.data["spec"]["minReplicas"].as_i64();
    let least = given.or_else(|| source().and_then(|least| i32::try_from(least).ok()));
    Some(least.unwrap_or(1).max(1))
}

fn copy(facts: &Facts, reference: &AutoscalerRef, source: &DynamicObject) -> DynamicObject {
    let mut spec = Map::new();
    for field in COPIED {
        if let Some(value) = source.data["spec"].get(field).filter(|value| !value.is_null()) {
            spec.insert(field.to_owned(), value.clone());
        }
    }
    if let Some(bounds) = reference.primary_scaler_replicas {
        let bounds = [("minReplicas", bounds.min_replicas), ("maxReplicas", bounds.max_replicas)];
        for (field, bound) in bounds {
            if let Some(bound) = bound {
                spec.insert(field.to_owned(), bound.into());
            }
        }
    }
    // Whatever the source scales: people get its name wrong, and it is primary that this is for.
    let target = json!({
        "apiVersion": Kind::Deployment.api_version(),
        "kind": Kind::Deployment.name(),
        "name": primary_name(facts),
    });
    spec.insert("scaleTargetRef".to_owned(), target);
    let name = format!("{}{}", reference.name, keys::PRIMARY_SUFFIX);
    let data = json!({ "spec": Value::Object(spec) });
    let mut object = facts.identity.object(Kind::Autoscaler, &name, data);
    let ours = object.metadata.labels.take().unwrap_or_default();
    let labels = copied(source.metadata.labels.as_ref());
    object.metadata.labels = Some(labels.into_iter().chain(ours).collect());
    object
}
