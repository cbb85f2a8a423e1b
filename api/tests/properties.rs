//! Whatever stands in a file or an object: no panic, and what is written reads back.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{assert_kept, planned, problems_of};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use serin_api::{Canary, Given, Group, canary_crd, local_problems, plan, read, release};

/// Any JSON, a few levels deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z0-9{}./ :-]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z]{1,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A value that a schema allows, so that every field is met in many combinations.
fn of_schema(schema: &Value) -> BoxedStrategy<Value> {
    if schema["x-kubernetes-int-or-string"] == true {
        return prop_oneof![Just(json!(80)), Just(json!("http"))].boxed();
    }
    match schema["type"].as_str() {
        Some("object") if schema.get("additionalProperties").is_some() => {
            let value = of_schema(&schema["additionalProperties"]);
            let map = prop::collection::btree_map("[a-z-]{1,6}", value, 0..3);
            map.prop_map(|map| Value::Object(map.into_iter().collect())).boxed()
        }
        Some("object") => object(schema),
        Some("array") => {
            prop::collection::vec(of_schema(&schema["items"]), 1..3).prop_map(Value::from).boxed()
        }
        Some("string") if schema["enum"].is_array() => {
            prop::sample::select(schema["enum"].as_array().unwrap().clone()).boxed()
        }
        Some("string") => prop_oneof![
            prop::sample::select(vec!["30s", "1m30s", "500ms", "/", "http://x.test/", "shop"])
                .prop_map(Value::from),
            "[a-z{}. \"]{0,6}".prop_map(Value::from),
        ]
        .boxed(),
        Some("boolean") => any::<bool>().prop_map(Value::from).boxed(),
        Some("integer") => {
            prop_oneof![-2..110_i64, any::<i32>().prop_map(i64::from)].prop_map(Value::from).boxed()
        }
        Some("number") => {
            prop_oneof![-2.0..110.0_f64, prop::num::f64::NORMAL].prop_map(Value::from).boxed()
        }
        kind => panic!("{kind:?}: {schema}"),
    }
}

fn object(schema: &Value) -> BoxedStrategy<Value> {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let fields = schema["properties"].as_object().cloned().unwrap_or_default();
    let field = |(name, schema): (String, Value)| {
        let value = of_schema(&schema);
        let value = if required.contains(&name.as_str()) {
            value.prop_map(Some).boxed()
        } else {
            prop::option::weighted(0.2, value).boxed()
        };
        value.prop_map(move |value| (name.clone(), value))
    };
    let fields: Vec<_> = fields.into_iter().map(field).collect();
    let there = |fields: Vec<(String, Option<Value>)>| {
        let there = fields.into_iter().filter_map(|(name, value)| Some((name, value?)));
        Value::Object(there.collect::<Map<String, Value>>())
    };
    fields.prop_map(there).boxed()
}

fn any_canary() -> impl Strategy<Value = Value> {
    let version = canary_crd(Group::Serin).spec.versions.remove(0);
    let schema = version.schema.unwrap().open_api_v3_schema.unwrap();
    let schema = serde_json::to_value(schema).unwrap();
    let parts =
        [of_schema(&schema["properties"]["spec"]), of_schema(&schema["properties"]["status"])];
    let group = prop::sample::select(vec![Group::Serin, Group::Flagger]);
    (parts, group).prop_map(|([spec, status], group)| {
        json!({
            "apiVersion": group.api_version(),
            "kind": "Canary",
            "metadata": { "name": "shop", "namespace": "demo" },
            "spec": spec,
            "status": status,
        })
    })
}

proptest! {
    #[test]
    fn no_text_panics(text in ".*|[-a-z0-9:{}\\[\\]&*!|>'\"#%@ \n]{0,80}") {
        let _ = planned(&text);
    }

    #[test]
    fn no_json_panics(spec in any_json(), metadata in any_json(), kind in "Canary|MetricTemplate") {
        let api_version = "serin.dev/v1beta1";
        let object =
            json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec});
        let _ = planned(&object.to_string());
        let _ = serde_json::from_value::<Canary>(object);
    }

    #[test]
    fn no_mangled_file_panics(
        at in 0..1460_usize,
        cut in 0..40_usize,
        put in "[-a-z0-9:{}\\[\\]'\" \n]{0,12}",
    ) {
        let mut text = include_str!("../golden/wrong.yaml").to_owned();
        text.replace_range(at..(at + cut), &put);
        prop_assert!(!problems_of(&text).is_empty());
    }

    /// Objects of the schema's shape are read from a cluster and from a file, written as they were, and judged.
    #[test]
    fn what_the_schema_allows_is_read_and_written_back(object in any_canary()) {
        let canary: Canary = serde_json::from_value(object.clone()).unwrap();
        let again = serde_json::to_value(&canary).unwrap();
        prop_assert_eq!(&serde_json::from_value::<Canary>(again.clone()).unwrap(), &canary);
        assert_kept(&again, &object);
        let _ = local_problems(&canary, &[]);
        // A cluster wants whatever a plan wants.
        let cluster = release(&canary, &Given::default());
        prop_assert!(cluster.is_err() || plan(&canary, &[]).is_ok());
        let from_cluster = plan(&canary, &[]);
        match read(&object.to_string()) {
            Ok(objects) => {
                prop_assert_eq!(&objects.canary.spec, &canary.spec);
                prop_assert_eq!(objects.plan().ok(), from_cluster.ok());
            }
            // A file's problems are the plan's, for there is nothing wrong with its shape.
            Err(problems) => prop_assert!(false, "{}", problems),
        }
    }

    /// No path of a problem is made up: each is in the file, or what it would stand in is.
    #[test]
    fn every_problem_of_a_file_has_a_place(object in any_canary()) {
        let objects = read(&object.to_string()).unwrap();
        let mut problems = objects.plan().err().unwrap_or_default();
        problems.extend(release(&objects.canary, &Given::default()).err().unwrap_or_default());
        for problem in objects.located(problems) {
            prop_assert!(problem.place.is_some(), "{}", problem);
            prop_assert!(problem.path.starts_with("spec"), "{}", problem);
        }
    }
}
