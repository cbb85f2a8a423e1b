//! Flagger's objects as people keep them in repositories: read and stored without loss, and either carried out or refused
//! by the names of their fields.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fmt::Write;
use std::time::Duration;

use common::{assert_kept, golden};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serin_api::canary::{Callers, Unscoped};
use serin_api::release::{Access, Secret};
use serin_api::{AlertProvider, Canary, Given, Group, MetricTemplate, Problems, Release, crds};
use serin_rollout::CheckSource;

const FILES: [&str; 7] = [
    include_str!("../golden/flagger/weights.yaml"),
    include_str!("../golden/flagger/kinds.yaml"),
    include_str!("../golden/flagger/odd.yaml"),
    include_str!("../golden/flagger/unsupported.yaml"),
    include_str!("../golden/flagger/shared.yaml"),
    include_str!("../golden/recipe-backend.yaml"),
    include_str!("../golden/recipe-frontend.yaml"),
];

fn objects() -> Vec<Value> {
    FILES.iter().flat_map(|text| serde_saphyr::from_multiple::<Value>(text).unwrap()).collect()
}

fn of_kind<T: DeserializeOwned>(kind: &str) -> Vec<T> {
    let objects = objects().into_iter().filter(|it| it["kind"] == kind);
    objects.map(|it| serde_json::from_value(it).unwrap()).collect()
}

#[track_caller]
fn read_and_written<T: DeserializeOwned + Serialize>(object: &Value) {
    let typed: T = serde_json::from_value(object.clone()).unwrap();
    let written = serde_json::to_value(typed).unwrap();
    assert_kept(&written, object);
    assert_kept(object, &written);
}

#[test]
fn objects_are_read_and_written_without_loss() {
    for object in objects() {
        match object["kind"].as_str().unwrap() {
            "Canary" => read_and_written::<Canary>(&object),
            "MetricTemplate" => read_and_written::<MetricTemplate>(&object),
            "AlertProvider" => read_and_written::<AlertProvider>(&object),
            kind => panic!("{kind}"),
        }
    }
}

/// A field that a definition does not know is dropped by Kubernetes, without a word to its author.
#[test]
fn definitions_know_every_field() {
    let objects = objects();
    assert!(objects.len() > 30, "{}", objects.len());
    for object in objects {
        let mut definitions = crds(Group::Flagger).into_iter();
        let definition = definitions.find(|it| object["kind"] == it.spec.names.kind).unwrap();
        let version = definition.spec.versions.into_iter().next().unwrap();
        let schema = version.schema.unwrap().open_api_v3_schema.unwrap();
        let schema = serde_json::to_value(schema).unwrap();
        known(&object["spec"], &schema["properties"]["spec"], "spec");
    }
}

fn known(value: &Value, schema: &Value, path: &str) {
    let anything = schema["x-kubernetes-preserve-unknown-fields"] == true;
    for (name, value) in value.as_object().into_iter().flatten().filter(|_| !anything) {
        let known = schema["properties"].get(name).or_else(|| schema.get("additionalProperties"));
        let path = format!("{path}.{name}");
        known_at(value, known, &path);
    }
    for value in value.as_array().into_iter().flatten() {
        known_at(value, schema.get("items"), path);
    }
}

fn known_at(value: &Value, schema: Option<&Value>, path: &str) {
    let schema = schema.unwrap_or_else(|| panic!("{path} is not in the definition"));
    known(value, schema, path);
}

fn release(canary: &Canary) -> Result<Release, Problems> {
    let (templates, providers): (Vec<MetricTemplate>, Vec<AlertProvider>) =
        (of_kind("MetricTemplate"), of_kind("AlertProvider"));
    let metrics_server = Some("http://prometheus:9090");
    let given = Given { templates: &templates, alert_providers: &providers, metrics_server };
    serin_api::release(canary, &given)
}

/// Every problem of every object at once; the others run.
#[test]
fn objects_run_or_are_refused_by_the_names_of_their_fields() {
    let mut listing = String::new();
    for canary in of_kind::<Canary>("Canary") {
        match release(&canary) {
            Ok(_) => writeln!(listing, "{}: runs", canary.name()).unwrap(),
            Err(problems) => {
                for problem in &problems {
                    writeln!(listing, "{}: {problem}", canary.name()).unwrap();
                }
            }
        }
    }
    golden("flagger/meaning.txt", &listing);
}

fn named(name: &str) -> Canary {
    of_kind::<Canary>("Canary").into_iter().find(|it| it.name() == name).unwrap()
}

#[test]
fn a_release_knows_all_that_a_cluster_needs() {
    let canary = named("podinfo");
    let release = release(&canary).unwrap();
    let target = &release.target;
    let ready = (target.primary_ready, target.canary_ready);
    assert_eq!((target.name.as_str(), ready), ("podinfo", (90, 50)));
    assert_eq!(target.progress_deadline, Duration::from_mins(1));
    assert_eq!(release.service, canary.spec.service.unwrap());
    assert_eq!(release.autoscaler, canary.spec.autoscaler_ref);
    assert!(release.revert_on_deletion && !release.suspended);
    assert_eq!(release.unscoped, Unscoped::Weights);
    // One for each check: two that the filter answers, and one that a Prometheus with credentials does.
    assert_eq!(release.access.len(), release.plan.checks.len());
    let [None, None, Some(access)] = release.access.as_slice() else { panic!() };
    assert_eq!(access.headers["X-Scope-OrgID"], ["tenant-1", "tenant-2"]);
    let (namespace, name) = ("istio-system".to_owned(), "prometheus".to_owned());
    assert_eq!(access.secret, Some(Secret { namespace, name }));
}

#[test]
fn defaults_are_flaggers() {
    let target = release(&named("ab")).unwrap().target;
    assert_eq!(target.progress_deadline, Duration::from_mins(10));
    assert_eq!((target.primary_ready, target.canary_ready), (100, 100));
    // An inline query is asked at the installation's Prometheus.
    let release = release(&named("legacy")).unwrap();
    assert_eq!(release.access, [None, Some(Access::default())]);
    let CheckSource::Query { address, .. } = &release.plan.checks[1].source else { panic!() };
    assert_eq!(address, "http://prometheus:9090");
}

#[test]
fn callers_are_named_once_and_ours_meet_primary() {
    let mut canary = named("ab");
    canary.group = Group::Serin;
    assert_eq!(release(&canary).unwrap().unscoped, Unscoped::Primary);
    let namespaces = ["web", "test", "jobs", "web"].map(str::to_owned).to_vec();
    canary.spec.callers = Some(Callers { namespaces, unscoped: Some(Unscoped::Weights) });
    let release = release(&canary).unwrap();
    assert_eq!(release.unscoped, Unscoped::Weights);
    // Its own takes part anyway.
    assert_eq!(release.caller_namespaces, ["web", "jobs"]);
}

/// What Flagger ignores on Istio its own objects may hold; in ours it is a problem.
#[test]
fn ours_say_nothing_without_meaning() {
    let mut canary = named("legacy");
    canary.group = Group::Serin;
    let problems = release(&canary).unwrap_err();
    let mut paths: Vec<&str> = problems.iter().map(|it| it.path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(
        paths,
        [
            "spec.analysis.mirrorWeight",
            "spec.analysis.threshold",
            "spec.analysis.webhooks[0].timeout",
            "spec.autoscalerRef.primaryScalerQueries",
            "spec.service.backendTimeout",
            "spec.service.backends",
            "spec.service.gatewayRefs",
            "spec.service.meshName",
            "spec.service.mirror",
            "spec.service.rewrite.type",
            "spec.targetRef.apiVersion",
            "spec.upstreamRef",
        ]
    );
}
