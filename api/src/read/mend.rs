//! A document that does not fit its schema is made to fit, so that the rest of it can be judged too. What was made
//! up is noted, and what is said of it later is not believed.

use serde_json::{Map, Value, json};

use crate::Problem;
use crate::field::Field;

/// Takes out what has the wrong type and puts in what is missing, as little as possible; notes the paths.
pub(super) fn mend(value: &mut Value, schema: &Value, field: &Field, mended: &mut Vec<String>) {
    if let (Some(items), Some("array")) = (value.as_array_mut(), schema["type"].as_str()) {
        for (index, item) in items.iter_mut().enumerate() {
            mend(item, &schema["items"], &field.nth(index), mended);
        }
    }
    let Some(fields) = value.as_object_mut() else { return };
    let nothing = Map::new();
    let known = schema["properties"].as_object().unwrap_or(&nothing);
    fields.retain(|name, value| {
        let Some(schema) = known.get(name).or_else(|| schema.get("additionalProperties")) else {
            return true;
        };
        let field = field.at(name);
        let keep = fits(value, schema);
        if keep {
            mend(value, schema, &field, mended);
        } else {
            mended.push(String::from(&field));
        }
        keep
    });
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if let (Some(schema), false) = (known.get(name), fields.contains_key(name)) {
            let field = field.at(name);
            mended.push(String::from(&field));
            let mut value = anything(schema);
            mend(&mut value, schema, &field, mended);
            fields.insert(name.to_owned(), value);
        }
    }
}

/// Whether a problem may be one of what was made up: it is about that, or speaks of it from nearby.
pub(super) fn is_doubtful(problem: &Problem, mended: &[String]) -> bool {
    mended.iter().any(|path| {
        let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
        let below = problem.path.strip_prefix(path.as_str());
        let mut words = problem.message.split(|letter: char| !letter.is_alphanumeric());
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            || (problem.path.starts_with(parent) && words.any(|word| word == name))
    })
}

/// Whether a value has the type that its schema asks for; what is in a map's fields is their own matter.
fn fits(value: &Value, schema: &Value) -> bool {
    if schema["x-kubernetes-int-or-string"] == true {
        return value.is_i64() || value.is_string();
    }
    match (schema["type"].as_str(), value) {
        (Some("object"), value) => value.is_object(),
        (Some("array"), Value::Array(items)) => {
            items.iter().all(|item| fits(item, &schema["items"]))
        }
        (Some("array"), _) => false,
        (Some(kind), value) => super::schema::is_scalar(value, kind, schema),
        (None, _) => true,
    }
}

/// A value of the type that a schema asks for.
fn anything(schema: &Value) -> Value {
    if let Some(word) = schema["enum"].get(0) {
        return word.clone();
    }
    match schema["type"].as_str() {
        Some("object") => json!({}),
        Some("array") => json!([]),
        Some("string") => json!(""),
        Some("boolean") => json!(false),
        Some("integer" | "number") => json!(0),
        _ => Value::Null,
    }
}
