//! A Flagger in the same cluster keeps its Canaries until it is gone.

use std::thread;

use serde_json::{Value, json};
use serin_cluster::apiserver::ApiServer;
use serin_e2e_apiserver::{eventually, namespace};

use crate::controller::{QUIET, at, canary, deployment, make, until_phase, until_told, world};
use crate::pods::Pods;
use crate::program::Program;

const FLAGGER: &str = "/apis/apps/v1/namespaces/flagger-system/deployments/progressive";
const YIELDS: &str = "serin_yields_to_flagger";

/// A Flagger as its chart installs it under another name.
fn flagger() -> Value {
    let mut flagger = deployment("progressive", "registry.example/flagger:1");
    flagger["metadata"]["namespace"] = "flagger-system".into();
    flagger["metadata"]["labels"] = json!({ "app.kubernetes.io/name": "flagger" });
    flagger["spec"]["replicas"] = 1.into();
    flagger
}

/// What Flagger left of a Canary: it names its owner, and is not labelled as ours.
fn made_by_flagger(canary: &Value) -> Value {
    let owner = json!({
        "apiVersion": canary["apiVersion"],
        "kind": canary["kind"],
        "name": canary["metadata"]["name"],
        "uid": canary["metadata"]["uid"],
        "controller": true,
        "blockOwnerDeletion": true,
    });
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "cart-primary",
            "namespace": "prod",
            "labels": { "app": "cart-primary" },
            "ownerReferences": [owner],
        },
        "spec": { "selector": { "app": "cart-primary" }, "ports": [{ "name": "http", "port": 80 }] },
    })
}

fn scale(server: &ApiServer, replicas: u32) {
    server.merge(FLAGGER, &json!({ "spec": { "replicas": replicas } })).expect("scaled");
}

#[test]
fn flaggers_canaries_are_left_to_it_until_it_is_gone() {
    let server = world();
    namespace(&server, "flagger-system").expect("a namespace");
    let _pods = Pods::ready_in(&server, "prod");
    make(&server, &flagger());
    make(&server, &deployment("cart", "registry.example/cart:1"));
    let mut theirs = canary(&json!({}));
    theirs["apiVersion"] = "flagger.app/v1beta1".into();
    theirs["metadata"]["name"] = "cart".into();
    theirs["spec"]["targetRef"]["name"] = "cart".into();
    theirs["spec"]["service"] = json!({ "port": 80 });
    make(&server, &theirs);
    let canary = at("flagger.app/v1beta1", "Canary", "cart");
    make(&server, &made_by_flagger(&server.get(&canary).expect("the Canary")));

    let both = ["--leader-elect=false", "--groups", "serin.dev,flagger.app"];
    let program = Program::start(server.kubeconfig(), "prod", "x", &both);
    until_phase(&server, "Initialized");
    until_told(&server, "Deployment flagger-system/progressive serves flagger.app");
    assert_eq!(program.series(YIELDS), Some(1.0));
    let service = at("v1", "Service", "cart");
    let untouched = || {
        thread::sleep(QUIET);
        assert!(server.get(&service).is_err(), "it acts beside Flagger");
    };
    untouched();
    assert!(server.get(&canary).expect("the Canary")["status"].is_null());

    scale(&server, 0);
    let phase = || server.get(&canary).expect("the Canary")["status"]["phase"].clone();
    eventually("it to be served", || phase() == "Initialized").expect("it is");
    assert!(server.get(&service).is_ok());
    assert_eq!(program.series(YIELDS), Some(0.0));

    scale(&server, 1);
    eventually("it to yield", || program.series(YIELDS) == Some(1.0)).expect("it does");
    server.delete(&service).expect("deleted");
    untouched();
}
