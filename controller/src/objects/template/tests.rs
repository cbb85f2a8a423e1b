use super::*;
use crate::fixture::deployment;

fn made(template: &Value) -> Value {
    let object = deployment("shop", "shop:1");
    let target = Target::read(&object).unwrap();
    primary(&target, template, &Renamed::new())
}

#[test]
fn labels_and_annotations_are_copied_but_for_what_is_not_true_of_the_copy() {
    let template = json!({
        "metadata": {
            "creationTimestamp": null,
            "labels": { "app": "web", "tier": "front", "pod-template-hash": "abc",
                        "kustomize.toolkit.fluxcd.io/name": "apps" },
            "annotations": { "prometheus.io/scrape": "true", "flagger-id": "1",
                             "helm.toolkit.fluxcd.io/name": "apps",
                             "argocd.argoproj.io/tracking-id": "apps:x", "meta.helm.sh/release-name": "x" },
        },
        "spec": { "containers": [{ "name": "web", "image": "shop:1", "newerThanThisCode": { "x": 1 } }] },
    });
    assert_eq!(
        made(&template),
        json!({
            "metadata": {
                "labels": { "app": "web-primary", "tier": "front" },
                "annotations": { "prometheus.io/scrape": "true" },
            },
            "spec": { "containers": [{ "name": "web", "image": "shop:1", "newerThanThisCode": { "x": 1 } }] },
        })
    );
}

#[test]
fn primarys_pods_keep_away_from_each_other() {
    let selector = |value: &str| {
        json!({
            "matchLabels": { "app": value, "tier": "front" },
            "matchExpressions": [{ "key": "app", "operator": "In", "values": ["other", value] },
                                 { "key": "tier", "operator": "In", "values": ["web"] }],
        })
    };
    let spec = |value: &str| {
        json!({
            "topologySpreadConstraints": [{ "topologyKey": "zone", "labelSelector": selector(value) }, {}],
            "affinity": {
                "podAffinity": { "requiredDuringSchedulingIgnoredDuringExecution":
                    [{ "labelSelector": { "matchLabels": { "app": "web" } } }] },
                "podAntiAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": [{ "labelSelector": selector(value) }],
                    "preferredDuringSchedulingIgnoredDuringExecution":
                        [{ "weight": 1, "podAffinityTerm": { "labelSelector": selector(value) } }],
                },
            },
        })
    };
    let copy = made(&json!({ "metadata": {}, "spec": spec("web") }));
    assert_eq!(copy["spec"], spec("web-primary"));
}

#[test]
fn a_mark_is_read_back_and_taken_away() {
    let bare = made(&json!({ "metadata": { "labels": {} }, "spec": {} }));
    let mut marked_template = bare.clone();
    mark(&mut marked_template, "r1");
    assert_eq!((marked(&bare), marked(&marked_template)), (None, Some("r1")));
    assert_eq!(unmarked(&marked_template), bare);
}

#[test]
fn nonsense_is_survived() {
    for nonsense in [json!(null), json!("x"), json!([1]), json!({"metadata": [], "spec": "x"})] {
        let copy = made(&nonsense);
        assert_eq!(copy["metadata"]["labels"]["app"], "web-primary");
    }
}
