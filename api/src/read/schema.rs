//! A document against the schema of its type, the very one that Kubernetes would check: every unknown field, every
//! missing one and every wrong type at once, where a parser would stop at the first.

use std::sync::LazyLock;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use crate::crd::{canary_crd, metric_template_crd};
use crate::field::Field;
use crate::{Group, Problems};

/// The schema of a whole Canary.
pub(super) static CANARY: LazyLock<Value> = LazyLock::new(|| document(canary_crd(Group::Serin)));
/// The schema of a whole `MetricTemplate`.
pub(super) static METRIC_TEMPLATE: LazyLock<Value> =
    LazyLock::new(|| document(metric_template_crd(Group::Serin)));

/// Reports everything about a value that its schema does not allow.
pub(super) fn check(value: &Value, schema: &Value, field: &Field, problems: &mut Problems) {
    if schema["x-kubernetes-int-or-string"] == true {
        if !value.is_i64() && !value.is_string() {
            problems.add(field, format!("must be a number or a name, not {}", shown(value)));
        }
        return;
    }
    match schema["type"].as_str() {
        Some("object") => object(value, schema, field, problems),
        Some("array") => match value.as_array() {
            Some(items) => {
                for (index, item) in items.iter().enumerate() {
                    check(item, &schema["items"], &field.nth(index), problems);
                }
            }
            None => problems.add(field, format!("must be a list, not {}", shown(value))),
        },
        Some(kind) => scalar(value, kind, schema, field, problems),
        None => {}
    }
}

fn object(value: &Value, schema: &Value, field: &Field, problems: &mut Problems) {
    let Some(fields) = value.as_object() else {
        problems.add(field, format!("must be a map of fields, not {}", shown(value)));
        return;
    };
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for name in required.filter(|name| !fields.contains_key(*name)) {
        problems.add(field.at(name), "is missing");
    }
    let known = schema["properties"].as_object();
    for (name, value) in fields {
        let field = field.at(name);
        if let Some(schema) = known.and_then(|known| known.get(name)) {
            check(value, schema, &field, problems);
        } else if let Some(schema) = schema.get("additionalProperties") {
            check(value, schema, &field, problems);
        } else if schema["x-kubernetes-preserve-unknown-fields"] != true {
            let names = known.into_iter().flat_map(|known| known.keys());
            problems.add(field, unknown(name, names.map(String::as_str)));
        }
    }
}

/// Whether a value is of a kind, and what that is called.
fn kind_of(value: &Value, kind: &str, schema: &Value) -> (bool, &'static str) {
    match kind {
        "string" => (value.is_string(), "a text"),
        "boolean" => (value.is_boolean(), "true or false"),
        "integer" if schema["format"] == "int32" => {
            let small = value.as_i64().is_some_and(|number| i32::try_from(number).is_ok());
            (small, "a whole number of 32 bits")
        }
        "integer" => (value.is_i64(), "a whole number"),
        _ => (value.is_number(), "a number"),
    }
}

/// Whether a value is one that its schema takes.
pub(super) fn is_scalar(value: &Value, kind: &str, schema: &Value) -> bool {
    let listed = schema["enum"].as_array().is_none_or(|words| words.contains(value));
    kind_of(value, kind, schema).0 && listed
}

fn scalar(value: &Value, kind: &str, schema: &Value, field: &Field, problems: &mut Problems) {
    let (fits, what) = kind_of(value, kind, schema);
    if !fits {
        // Who writes a bare number where a text belongs has forgotten its unit or its quotes.
        let hint = match (kind, value) {
            ("string", Value::Number(number)) if field.is_duration() => {
                format!(": such as {number}s")
            }
            ("string", Value::Number(number)) => format!(": such as \"{number}\""),
            _ => String::new(),
        };
        problems.add(field, format!("must be {what}, not {}{hint}", shown(value)));
        return;
    }
    let Some(words) = schema["enum"].as_array() else { return };
    if !words.contains(value) {
        let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        problems.add(field, format!("must be one of {}, not {}", words.join(", "), shown(value)));
    }
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let far = |known: &str| (distance(name, known), known.len().abs_diff(name.len()));
    let close = known.map(|known| (far(known), known)).min();
    match close.filter(|((distance, _), known)| distance * 3 <= known.len().max(3)) {
        Some((_, close)) => format!("is no field here; did you mean {close}?"),
        None => "is no field here".to_owned(),
    }
}

/// Letters to insert, remove or change, in either case, to make one name of the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (index, x) in a.chars().enumerate() {
        let mut left = index + 1;
        let mut diagonal = std::mem::replace(&mut row[0], left);
        for (cell, y) in row[1..].iter_mut().zip(b.chars()) {
            let best = (diagonal + usize::from(x != y)).min(*cell + 1).min(left + 1);
            diagonal = std::mem::replace(cell, best);
            left = best;
        }
    }
    row.last().copied().unwrap_or_default()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map of fields".to_owned(),
        Value::String(text) if text.chars().count() > 48 => {
            format!("{:?}", text.chars().take(48).chain(['…']).collect::<String>())
        }
        _ => value.to_string(),
    }
}

/// A definition's schema with what Kubernetes adds to every object. Status is not the author's, so anything goes there.
fn document(definition: CustomResourceDefinition) -> Value {
    let version = definition.spec.versions.into_iter().next();
    let schema = version.and_then(|it| it.schema?.open_api_v3_schema);
    let schema = serde_json::to_value(schema).unwrap_or_default();
    let anything = json!({ "x-kubernetes-preserve-unknown-fields": true });
    json!({
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": { "type": "string" },
            "kind": { "type": "string" },
            "metadata": metadata(&anything),
            "spec": schema["properties"]["spec"],
            "status": anything,
        },
    })
}

fn metadata(anything: &Value) -> Value {
    let texts = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    let text = json!({ "type": "string" });
    json!({
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": text,
            "namespace": text,
            "labels": texts,
            "annotations": texts,
            "creationTimestamp": anything,
            "deletionGracePeriodSeconds": anything,
            "deletionTimestamp": anything,
            "finalizers": anything,
            "generation": anything,
            "managedFields": anything,
            "ownerReferences": anything,
            "resourceVersion": anything,
            "uid": anything,
        },
    })
}
