//! Objects that were there before us: the apex Service and the `VirtualService`. They are changed, never owned;
//! what they were stands in an annotation, so that they can become it again.

use kube::core::DynamicObject;
use serde_json::{Map, Value, json};
use serin_api::keys;

use super::target::Target;
use crate::identity::Identity;

/// The parts of a port that a person writes.
const PORT: [&str; 6] = ["name", "port", "protocol", "targetPort", "appProtocol", "nodePort"];

/// If `found` is not the Canary's own: takes the owner off what will be written, and notes what was. Whether it
/// did.
pub(super) fn mark(
    object: &mut DynamicObject,
    identity: &Identity,
    found: Option<&DynamicObject>,
    original: impl FnOnce(&DynamicObject) -> Value,
) -> bool {
    let Some(found) = found.filter(|found| !identity.owns(found)) else { return false };
    object.metadata.owner_references = None;
    let noted = annotation(found, keys::ORIGINAL).map(str::to_owned);
    let noted = noted.unwrap_or_else(|| original(found).to_string());
    let annotations = object.metadata.annotations.get_or_insert_default();
    annotations.insert(keys::ORIGINAL.to_owned(), noted);
    true
}

/// What of a Service we change, as it was. One that leads to primary already was changed by Flagger.
pub(super) fn service(found: &DynamicObject, target: &Target<'_>) -> Value {
    let spec = &found.data["spec"];
    let mut selector = spec["selector"].clone();
    if selector == json!(target.primary_selector()) {
        let applied = last_applied(found).map(|applied| applied["spec"]["selector"].clone());
        let applied = applied.filter(Value::is_object);
        selector = applied.unwrap_or_else(|| json!(target.canary_selector()));
    }
    let ports = spec["ports"].as_array().into_iter().flatten();
    let ports: Vec<Value> = ports.map(|port| only(port, &PORT)).collect();
    json!({ "selector": selector, "ports": ports })
}

/// The `spec` of a `VirtualService`, as it was before any controller changed it.
pub(super) fn virtual_service(found: &DynamicObject) -> Value {
    let flaggers = annotation(found, keys::FLAGGER_ORIGINAL);
    let flaggers = flaggers.and_then(|text| serde_json::from_str(text).ok());
    let managed =
        found.metadata.annotations.iter().flatten().any(|(key, _)| key == keys::FLUX_OFF[0].0);
    // Flagger leaves no note where kubectl has left one.
    let applied = || last_applied(found).filter(|_| managed).map(|it| it["spec"].clone());
    flaggers.or_else(applied).unwrap_or_else(|| found.data["spec"].clone())
}

/// What stands in the annotation of an object that was adopted.
pub(super) fn original(found: &DynamicObject) -> Option<Value> {
    serde_json::from_str(annotation(found, keys::ORIGINAL)?).ok()
}

fn last_applied(found: &DynamicObject) -> Option<Value> {
    serde_json::from_str(annotation(found, keys::LAST_APPLIED)?).ok()
}

fn annotation<'o>(object: &'o DynamicObject, key: &str) -> Option<&'o str> {
    object.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

fn only(of: &Value, fields: &[&str]) -> Value {
    let kept =
        fields.iter().filter_map(|field| Some(((*field).to_owned(), of.get(*field)?.clone())));
    Value::Object(kept.collect::<Map<_, _>>())
}
