//! The definitions that Kubernetes installs: pinned, and structural.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::golden_at;
use serde_json::Value;
use serin_api::{Group, canary_crd, crds};

const GROUPS: [Group; 2] = [Group::Serin, Group::Flagger];

const HEAD: &str =
    "# Made from the types in api/; UPDATE_GOLDEN=1 cargo test -p serin-api writes it anew.\n";

/// What is installed is what the types say.
#[test]
fn installed_definitions_are_the_types() {
    for definition in GROUPS.into_iter().flat_map(crds) {
        let (group, plural) = (&definition.spec.group, &definition.spec.names.plural);
        let path = format!("../deploy/crds/{group}_{plural}.yaml");
        golden_at(&path, &format!("{HEAD}{}", serde_saphyr::to_string(&definition).unwrap()));
    }
}

#[test]
fn groups_differ_in_their_names_only() {
    let [ours, flaggers] = GROUPS.map(crds);
    for (mut ours, flaggers) in ours.into_iter().zip(flaggers) {
        let plural = ours.spec.names.plural.clone();
        // A short name that both had would mean Flagger's, with a warning.
        let short = [ours.spec.names.short_names.take(), flaggers.spec.names.short_names.clone()];
        assert!(matches!(&short, [Some(_), None]), "{short:?}");
        let [ours, flaggers] = [ours, flaggers].map(|it| serde_json::to_string(&it).unwrap());
        assert_ne!(ours, flaggers);
        for (from, to) in [("\"name\":\"", plural.as_str()), ("\"group\":\"", "")] {
            let dot = if to.is_empty() { "" } else { "." };
            let of = |group: &str| format!("{from}{to}{dot}{group}\"");
            assert!(ours.contains(&of("serin.dev")) && flaggers.contains(&of("flagger.app")));
        }
        assert_eq!(ours.replace("serin.dev", "flagger.app"), flaggers);
    }
}

/// Kubernetes refuses a schema that is not structural: every node has a type or preserves what it does not know, and
/// nothing is a reference or one of several.
#[test]
fn schemas_are_structural() {
    for definition in crds(Group::Serin) {
        for version in definition.spec.versions {
            let schema = version.schema.unwrap().open_api_v3_schema.unwrap();
            let schema = serde_json::to_value(schema).unwrap();
            let mut nodes = 0;
            structural(&schema, "", &mut nodes);
            assert!(nodes > 5, "{nodes}");
        }
    }
}

fn structural(schema: &Value, path: &str, nodes: &mut usize) {
    *nodes += 1;
    let fields = schema.as_object().unwrap();
    for keyword in ["$ref", "anyOf", "allOf", "oneOf", "not", "uniqueItems", "default"] {
        assert!(!fields.contains_key(keyword), "{path} has {keyword}");
    }
    let typed = fields.contains_key("type") || schema["x-kubernetes-int-or-string"] == true;
    assert!(typed, "{path} has no type: {schema}");
    let parts = ["properties", "additionalProperties", "items"];
    assert!(!(fields.contains_key(parts[0]) && fields.contains_key(parts[1])), "{path}");
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        structural(schema, &format!("{path}.{name}"), nodes);
    }
    for part in &parts[1..] {
        if let Some(schema) = fields.get(*part) {
            structural(schema, &format!("{path}.{part}"), nodes);
        }
    }
}

/// What `kubectl get canaries` shows, in the order that scripts rely on.
#[test]
fn columns_are_flaggers() {
    let version = canary_crd(Group::Flagger).spec.versions.remove(0);
    let columns = version.additional_printer_columns.unwrap();
    let shown: Vec<(&str, &str, i32)> = columns
        .iter()
        .map(|it| (it.name.as_str(), it.json_path.as_str(), it.priority.unwrap_or_default()))
        .collect();
    assert_eq!(
        shown,
        [
            ("Status", ".status.phase", 0),
            ("Weight", ".status.canaryWeight", 0),
            ("Suspended", ".spec.suspend", 1),
            ("FailedChecks", ".status.failedChecks", 1),
            ("Interval", ".spec.analysis.interval", 1),
            ("Mirror", ".spec.analysis.mirror", 1),
            ("StepWeight", ".spec.analysis.stepWeight", 1),
            ("StepWeights", ".spec.analysis.stepWeights", 1),
            ("MaxWeight", ".spec.analysis.maxWeight", 1),
            ("LastTransitionTime", ".status.lastTransitionTime", 0),
        ]
    );
}
