//! The target's autoscaler: what is wrong with the reference.

use crate::canary::AutoscalerRef;
use crate::convert::whole;
use crate::field::Field;
use crate::{Canary, Group, Problems};

const HPA: &str = "HorizontalPodAutoscaler";

/// A reference to a `HorizontalPodAutoscaler`. Its API version is always the newest, whatever it says.
pub(super) fn autoscaler(canary: &Canary, problems: &mut Problems) -> Option<AutoscalerRef> {
    let given = canary.spec.autoscaler_ref.as_ref()?;
    let field = Field::root("spec.autoscalerRef");
    if given.name.is_empty() {
        problems.add(field.at("name"), "must not be empty");
    }
    match given.kind.as_str() {
        HPA => {}
        "" => problems.add(field.at("kind"), "is missing"),
        "ScaledObject" => {
            problems.add(field.at("kind"), "ScaledObject is valid but not supported yet");
        }
        kind => problems.add(field.at("kind"), format!("must be {HPA}, not {kind:?}")),
    }
    let queries = !given.primary_scaler_queries.is_empty();
    if canary.group == Group::Serin && given.kind == HPA && queries {
        let rule = format!("has no meaning for a {HPA}");
        problems.add(field.at("primaryScalerQueries"), rule);
    }
    replicas(given, &field.at("primaryScalerReplicas"), problems);
    Some(given.clone())
}

fn replicas(given: &AutoscalerRef, field: &Field, problems: &mut Problems) {
    let Some(replicas) = given.primary_scaler_replicas else { return };
    let bounds = [("minReplicas", replicas.min_replicas), ("maxReplicas", replicas.max_replicas)];
    for (name, given) in bounds {
        let Some(number) = given else { continue };
        let _: Option<i32> = whole(number.into(), 1..=i32::MAX.into(), &field.at(name), problems);
    }
    if let [(_, Some(least)), (_, Some(most))] = bounds
        && least > most
    {
        problems.add(field, format!("minReplicas {least} is above maxReplicas {most}"));
    }
}
