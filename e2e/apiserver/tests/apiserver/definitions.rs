//! Our definitions: the API server takes them, keeps what Flagger's users have written, and refuses by our rules.

use std::fs;

use serde_json::{Value, json};
use serin_api::{Canary, CanaryStatus};
use serin_cluster::apiserver::ApiServer;
use serin_e2e_apiserver::{collection, namespace, objects, path, repository, with_ours};
use serin_rollout::{Phase, Run, Status};

const NAMESPACES: [&str; 4] = ["test", "prod", "istio-system", "flagger"];

fn server() -> ApiServer {
    let server = with_ours().expect("an API server that takes the definitions");
    for name in NAMESPACES {
        namespace(&server, name).expect("a namespace");
    }
    server
}

/// Unknown fields are refused, as kubectl asks it.
fn create(server: &ApiServer, object: &Value) -> Result<Value, String> {
    let path = format!("{}?fieldValidation=Strict", collection(object).expect("a path"));
    server.post(&path, object).map_err(|error| format!("{error:#}"))
}

fn manifests() -> Vec<Value> {
    let flaggers = fs::read_dir(repository("api/golden/flagger")).expect("golden manifests");
    let files = flaggers.flatten().map(|entry| entry.path());
    let files = files.chain([repository("api/golden/recipe-frontend.yaml")]);
    let files = files.filter(|path| path.extension().is_some_and(|end| end == "yaml"));
    files.flat_map(|file| objects(&file).expect("YAML")).collect()
}

#[test]
fn what_flaggers_users_have_written_is_kept_in_both_groups() {
    let server = server();
    let manifests = manifests();
    assert!(manifests.len() > 25, "{}", manifests.len());
    for mut object in manifests {
        for group in ["flagger.app/v1beta1", "serin.dev/v1beta1"] {
            object["apiVersion"] = group.into();
            let stored = create(&server, &object).expect("it is taken");
            assert_eq!(stored["spec"], object["spec"], "{}", object["metadata"]["name"]);
        }
    }
}

/// A status comes back to the bit: the next decision is made from it.
#[test]
fn a_status_comes_back_as_it_was() {
    let server = server();
    let object = canary(&json!({"stepWeight": 5}), &json!({}));
    let mut stored = create(&server, &object).expect("it is taken");
    let run = Run {
        // The largest that there is.
        routing: (1 << 53) - 1,
        started: "2026-01-01T00:00:00.123456789Z".parse().expect("a time"),
        ..Run::default()
    };
    let rollout = Status { phase: Phase::Progressing, run: Some(run), ..Status::default() };
    let mut status = CanaryStatus::default();
    status.record(&rollout, "Deployment", "2026-01-01T00:00:00Z".parse().expect("a time"));
    stored["status"] = serde_json::to_value(&status).expect("JSON");
    let path = path(&object).expect("a path");
    server.put(&format!("{path}/status"), &stored).expect("the status is taken");
    let back = server.get(&path).expect("it is there");
    assert_eq!(back["status"], stored["status"]);
    let canary: Canary = serde_json::from_value(back).expect("a Canary");
    let back = canary.status.expect("a status").rollout().expect("readable");
    assert_eq!(back, Some(rollout));
}

fn canary(analysis: &Value, spec: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "serin.dev/v1beta1",
        "kind": "Canary",
        "metadata": {"name": "x", "namespace": "test"},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"},
            "analysis": analysis,
        },
    });
    for (name, value) in spec.as_object().into_iter().flatten() {
        object["spec"][name] = value.clone();
    }
    object
}

fn shared(kind: &str, spec: &Value) -> Value {
    let metadata = json!({"name": "x", "namespace": "test"});
    json!({"apiVersion": "serin.dev/v1beta1", "kind": kind, "metadata": metadata, "spec": spec})
}

/// Every rule refuses what it is for, and says so; beside each, what is close to it and right.
#[test]
fn rules_refuse_what_they_are_for() {
    let server = server();
    let step = |more: Value| {
        let mut analysis = json!({"stepWeight": 5});
        analysis.as_object_mut().expect("a map").extend(more.as_object().cloned().expect("a map"));
        canary(&analysis, &json!({}))
    };
    let spec = |more: Value| canary(&json!({"stepWeight": 5}), &more);
    let analysis = |analysis: Value| canary(&analysis, &json!({}));
    let scaler = |replicas: Value| {
        spec(json!({"autoscalerRef": {
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "x",
            "primaryScalerReplicas": replicas,
        }}))
    };
    let needs_one = "needs one of steps, stepWeight, stepWeights and iterations";
    for (object, message) in [
        (analysis(json!({"interval": "1m"})), needs_one),
        (analysis(json!({"stepWeight": 0})), needs_one),
        (analysis(json!({"stepWeight": null})), needs_one),
        (step(json!({"iterations": 3})), "needs only one of steps, stepWeight"),
        (analysis(json!({"steps": [{"setWeight": 5}, {}]})), "needs one of setWeight and pause"),
        (
            step(json!({"sessionAffinity": {"cookieName": "a", "primaryCookieName": "a"}})),
            "primaryCookieName must differ from cookieName",
        ),
        (
            step(json!({"userKey": [{"header": "a", "cookie": "b"}]})),
            "needs one of header, cookie and requestId",
        ),
        (
            step(json!({"evidence": {"alphaRollback": 0.2, "alphaQuarantine": 0.1}})),
            "alphaRollback must not be above alphaQuarantine",
        ),
        (step(json!({"evidence": {"gate": "pass"}})), "gate pass needs objectives"),
        (step(json!({"evidence": {"objectives": {}}})), "needs errorRate or latency"),
        (
            step(json!({"metrics": [{"name": "a", "thresholdRange": {"min": 5, "max": 1}}]})),
            "min must not be above max",
        ),
        (
            spec(json!({"service": {"port": 80, "delegation": true, "hosts": ["a"]}})),
            "a delegate has neither hosts nor gateways",
        ),
        (spec(json!({"service": {"port": 70_000}})), "should be less than or equal to 65535"),
        (
            scaler(json!({"minReplicas": 5, "maxReplicas": 2})),
            "minReplicas must not be above maxReplicas",
        ),
        (scaler(json!({"minReplicas": 0})), "should be greater than or equal to 1"),
        (
            step(json!({"match": [{"headers": {"a": {"exact": "a", "prefix": "b"}}}]})),
            "must have at most 1 item",
        ),
        (step(json!({"stepWeigths": [1]})), "unknown field"),
        (shared("AlertProvider", &json!({"type": "slack"})), "needs one of address and secretRef"),
        (
            shared("MetricTemplate", &json!({"provider": {"type": "prometheus"}, "query": "up"})),
            "prometheus needs an address",
        ),
    ] {
        let refused = create(&server, &object).expect_err("it is refused");
        assert!(refused.contains(message), "{refused}");
    }
    for object in [
        canary(&json!({"stepWeight": 0}), &json!({"skipAnalysis": true})),
        analysis(json!({"stepWeight": 0, "iterations": 3})),
        analysis(json!({"stepWeight": null, "iterations": 3})),
        step(json!({"userKey": [{"requestId": {}}, {"header": "a"}]})),
        spec(json!({"service": {"port": 80, "delegation": true, "hosts": []}})),
    ] {
        create(&server, &object).expect("it is taken");
        server.delete(&path(&object).expect("a path")).expect("deleted");
    }
}
