//! What several test files need.

#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "each test file uses its part, and a test may panic"
)]

use serde_json::Value;
use serin_api::{Objects, Problems, read};
use serin_rollout::Plan;

/// A file of our group: `analysis` and `spec` are YAML of those fields, not indented.
pub(crate) fn file(analysis: &str, spec: &str) -> String {
    of_group("serin.dev", analysis, spec)
}

/// As [`file`], of `flagger.app`.
pub(crate) fn flagger_file(analysis: &str, spec: &str) -> String {
    of_group("flagger.app", analysis, spec)
}

fn of_group(group: &str, analysis: &str, spec: &str) -> String {
    let indented = |text: &str, by: usize| {
        let lines = text.lines().map(|line| format!("{}{line}\n", " ".repeat(by)));
        lines.collect::<String>()
    };
    let (analysis, spec) = (indented(analysis, 4), indented(spec, 2));
    format!(
        "apiVersion: {group}/v1beta1\nkind: Canary\nmetadata:\n  name: shop\n  namespace: demo\n\
         spec:\n  targetRef: {{apiVersion: apps/v1, kind: Deployment, name: shop}}\n{spec}  \
         analysis:\n{analysis}"
    )
}

/// What a file means.
pub(crate) fn plan_of(text: &str) -> Plan {
    planned(text).unwrap_or_else(|problems| panic!("{problems}\n---\n{text}"))
}

/// Everything that is wrong with a file, without places.
pub(crate) fn problems_of(text: &str) -> Vec<String> {
    let problems = planned(text).err().unwrap_or_default();
    let shown = |problem: &serin_api::Problem| format!("{}: {}", problem.path, problem.message);
    problems.iter().map(shown).collect()
}

pub(crate) fn planned(text: &str) -> Result<Plan, Problems> {
    read(text).and_then(|objects: Objects| objects.plan())
}

/// Compares with a golden file; `UPDATE_GOLDEN=1` writes it.
#[track_caller]
pub(crate) fn golden(name: &str, actual: &str) {
    golden_at(&format!("golden/{name}"), actual);
}

/// As [`golden`], anywhere below this crate's directory or beside it.
#[track_caller]
pub(crate) fn golden_at(path: &str, actual: &str) {
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == actual,
        "{path} is stale; UPDATE_GOLDEN=1 cargo test -p serin-api writes it. Now it would be:\n{actual}"
    );
}

/// Everything that was given is there; what is more are fields that are always written.
#[track_caller]
pub(crate) fn assert_kept(written: &Value, given: &Value) {
    match (written, given) {
        (Value::Object(written), Value::Object(given)) => {
            for (name, value) in given {
                match written.get(name) {
                    Some(written) => assert_kept(written, value),
                    // Defaults are left out.
                    None => assert!(
                        matches!(value, Value::Bool(false))
                            || value == ""
                            || *value == serde_json::json!({})
                            || *value == serde_json::json!([]),
                        "{name}: {value} is lost"
                    ),
                }
            }
        }
        (Value::Array(written), Value::Array(given)) => {
            assert_eq!(written.len(), given.len());
            written.iter().zip(given).for_each(|(written, given)| assert_kept(written, given));
        }
        // One number, be it written 99 or 99.0.
        (Value::Number(written), Value::Number(given)) if !given.is_i64() || !written.is_i64() => {
            assert_eq!(written.as_f64(), given.as_f64());
        }
        _ => assert_eq!(written, given),
    }
}
