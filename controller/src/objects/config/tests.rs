use super::*;
use crate::fixture::{config_map, deployment, facts, object};
use serde_json::json;

fn template() -> Value {
    json!({ "spec": {
        "volumes": [
            { "name": "a", "configMap": { "name": "files" } },
            { "name": "b", "secret": { "secretName": "keys", "optional": true } },
            { "name": "c", "projected": { "sources": [
                { "configMap": { "name": "kube-root-ca.crt" } },
                { "secret": { "name": "keys" } },
                { "serviceAccountToken": { "path": "token" } },
            ]}},
        ],
        "initContainers": [{ "envFrom": [{ "secretRef": { "name": "first" } }] }],
        "containers": [{
            "env": [
                { "name": "A", "value": "plain" },
                { "name": "B", "valueFrom": { "configMapKeyRef": { "name": "env", "key": "b" } } },
                { "name": "C", "valueFrom": { "secretKeyRef": { "name": "files", "key": "c" } } },
            ],
            "envFrom": [{ "configMapRef": { "name": "env", "optional": true } }],
        }],
    }})
}

fn secret(name: &str, kind: &str) -> DynamicObject {
    object(Kind::Secret, name, json!({ "type": kind, "data": { "k": "dg==" } }))
}

#[test]
fn every_reference_is_found_once_and_mandatory_if_it_is_so_anywhere() {
    let found = references(&template());
    let shown: Vec<_> =
        found.iter().map(|it| (it.kind.name(), it.name.as_str(), it.optional)).collect();
    assert_eq!(
        shown,
        [
            ("ConfigMap", "env", false),
            ("ConfigMap", "files", false),
            ("ConfigMap", "kube-root-ca.crt", false),
            ("Secret", "files", false),
            ("Secret", "first", false),
            ("Secret", "keys", false),
        ]
    );
    assert!(references(&json!("nonsense")).is_empty());
}

#[test]
fn what_is_tracked_depends_on_kind_type_and_will() {
    let mut opted_out = config_map("env", "1");
    opted_out.metadata.annotations =
        Some([(keys::FLAGGER_CONFIG_TRACKING.to_owned(), "disabled".to_owned())].into());
    let configs = [
        config_map("files", "1"),
        config_map("kube-root-ca.crt", "1"),
        config_map("unrelated", "1"),
        opted_out,
        secret("keys", "Opaque"),
        secret("first", "kubernetes.io/service-account-token"),
    ];
    let found = tracked(&template(), &configs);
    let shown: Vec<_> = found.iter().map(|(kind, name, _)| (kind.name(), *name)).collect();
    assert_eq!(shown, [("ConfigMap", "files"), ("Secret", "keys")]);
}

#[test]
fn primary_reads_the_copies_of_what_is_tracked_and_the_rest_as_it_is() {
    let mut renamed_template = template();
    let mut seen = Observed::new(deployment("shop", "shop:1"), vec![config_map("files", "1")]);
    rename(&mut renamed_template, &renamed(&template(), &seen, Follows::Target));
    let found = references(&renamed_template);
    let names: Vec<_> = found.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["env", "files-primary", "kube-root-ca.crt", "files", "first", "keys"]);
    // At a revision that the target has left, a copy outlives its original.
    seen.configs.clear();
    seen.copies = vec![config_map("files-primary", "1")];
    assert!(renamed(&template(), &seen, Follows::Target).is_empty());
    assert_eq!(renamed(&template(), &seen, Follows::Promoted).len(), 1);
}

fn with_config(value: &str) -> Observed {
    let mut target = deployment("shop", "shop:1");
    target.data["spec"]["template"] = template();
    Observed::new(target, vec![config_map("files", value)])
}

fn applied(wanted: &[Wanted]) -> Vec<&DynamicObject> {
    let applied = wanted.iter().filter_map(|it| match it {
        Wanted::Apply(object) => Some(&**object),
        Wanted::Keep(_) => None,
    });
    applied.collect()
}

#[test]
fn copies_follow_the_target_with_all_their_content() {
    let mut seen = with_config("1");
    seen.configs[0].data["binaryData"] = json!({ "blob": "AAE=" });
    seen.configs[0].data["immutable"] = json!(true);
    let (wanted, gaps) = copies(&facts(), &seen, Follows::Target);
    let copy = applied(&wanted)[0];
    assert_eq!(copy.metadata.name.as_deref(), Some("files-primary"));
    assert_eq!(copy.data, json!({ "data": {"key": "1"}, "binaryData": {"blob": "AAE="} }));
    assert!(facts().identity.owns(copy));
    // The rest of what the template refers to does not exist.
    assert_eq!(gaps.len(), 5);
}

#[test]
fn at_an_earlier_revision_copies_stay_and_a_lost_one_is_told() {
    let mut seen = with_config("2");
    seen.promoted_template = Some(template());
    seen.copies = vec![config_map("files-primary", "1")];
    let (wanted, gaps) = copies(&facts(), &seen, Follows::Promoted);
    assert!(applied(&wanted).is_empty() && wanted.len() == 1);
    assert!(!gaps.iter().any(|gap| matches!(gap, Gap::Content { .. })));
    seen.copies.clear();
    let (wanted, gaps) = copies(&facts(), &seen, Follows::Promoted);
    assert_eq!(applied(&wanted)[0].data["data"]["key"], "2");
    assert!(gaps.contains(&Gap::Content { kind: Kind::ConfigMap, copy: "files-primary".into() }));
}
