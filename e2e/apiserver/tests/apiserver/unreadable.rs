//! A Canary that does not read, stored when its definition was looser: it alone is refused.

use std::sync::Arc;

use serde_json::{Value, json};
use serin_cluster::apiserver::ApiServer;
use serin_e2e_apiserver::{collection, eventually, path};

use crate::controller::{
    Controller, NAMESPACE, canary, make, messages, object, until_phase, until_told, world,
};
use crate::pods::Pods;

const DEFINITION: &str =
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/canaries.serin.dev";

#[test]
fn a_canary_that_does_not_read_is_refused_and_leaves_the_others_alone() {
    let server = world();
    let broken = object(
        "serin.dev/v1beta1",
        "Canary",
        "broken",
        json!({ "spec": {
        "targetRef": "shop", "analysis": 5,
    } }),
    );
    store(&server, &broken);
    let _pods = Pods::ready_in(&server, NAMESPACE);
    let _controller = Controller::start(server.kubeconfig());
    until_phase(&server, "Initialized");
    until_told(&server, "does not read, so nothing is done for it");
    let at = path(&broken).expect("a path");
    let problem = |server: &ApiServer| {
        server.get(&at).expect("it is there")["status"]["serin"]["problems"][0]["message"].clone()
    };
    // Of this one the API server takes no status: rules of the rest cannot be evaluated.
    let told = messages(&server).iter().filter(|it| it.contains("does not read")).count();
    assert_eq!(told, 1);

    // Put right, it is served like any other.
    let mut right = canary(&json!({}));
    right["metadata"]["name"] = "broken".into();
    right["spec"]["targetRef"]["name"] = "elsewhere".into();
    right["spec"]["service"]["name"] = "elsewhere".into();
    let mut stored = server.get(&at).expect("it is there");
    stored["spec"] = right["spec"].clone();
    server.put(&at, &stored).expect("it is taken");
    let why = || problem(&server).as_str().unwrap_or_default().to_owned();
    let seen = || why() == "there is no Deployment elsewhere in namespace prod";
    eventually("it to be read", seen).expect("it is read");
}

#[test]
fn one_that_is_broken_while_it_is_served_stops_nobody_else() {
    let server = world();
    let _pods = Pods::ready_in(&server, NAMESPACE);
    let _controller = Controller::start(server.kubeconfig());
    until_phase(&server, "Initialized");
    let mut broken = canary(&json!({}));
    broken["metadata"]["name"] = "broken".into();
    broken["spec"]["analysis"] = 5.into();
    store(&server, &broken);
    until_told(&server, "does not read, so nothing is done for it");
    // The watch goes on behind it.
    let mut later = canary(&json!({}));
    later["metadata"]["name"] = "later".into();
    later["spec"]["targetRef"]["name"] = "elsewhere".into();
    later["spec"]["service"]["name"] = "elsewhere".into();
    make(&server, &later);
    until_told(&server, "spec.targetRef: there is no Deployment elsewhere in namespace prod");
}

/// Under a definition that takes anything, and then the real one again.
fn store(server: &Arc<ApiServer>, object: &Value) {
    let strict = server.get(DEFINITION).expect("the definition")["spec"]["versions"].clone();
    let mut loose = strict.clone();
    loose[0]["schema"]["openAPIV3Schema"] =
        json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    define(server, &loose);
    let at = collection(object).expect("a path");
    eventually("it to be taken", || server.post(&at, object).is_ok()).expect("taken");
    define(server, &strict);
    let mut probe = object.clone();
    probe["metadata"]["name"] = "probe".into();
    let refused = || {
        let taken = server.post(&at, &probe).is_ok();
        let _ = server.delete(&format!("{at}/probe"));
        !taken
    };
    eventually("the real definition", refused).expect("it is refused now");
}

fn define(server: &ApiServer, versions: &Value) {
    server.merge(DEFINITION, &json!({ "spec": { "versions": versions } })).expect("defined");
}
