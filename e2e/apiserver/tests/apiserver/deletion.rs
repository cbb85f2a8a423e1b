//! A Canary is deleted in a cluster that collects what belonged to it.

use std::{sync::Arc, thread, time::Duration};

use serde_json::json;
use serin_api::keys;
use serin_cluster::apiserver::ApiServer;
use serin_e2e_apiserver::{eventually, path};

use crate::controller::{
    Controller, NAMESPACE, at, canary, make, replicas, the_canary, until_phase, until_told, world,
};
use crate::pods::Pods;

/// Long enough for what should not happen.
const QUIET: Duration = Duration::from_secs(7);
const ISTIO: &str = "networking.istio.io/v1beta1";

fn initialized(reverts: bool, finalizer: Option<&str>) -> (Arc<ApiServer>, Pods, Controller) {
    let server = world();
    let mut wanted = canary(&json!({}));
    wanted["spec"]["revertOnDeletion"] = reverts.into();
    if let Some(finalizer) = finalizer {
        wanted["metadata"]["finalizers"] = json!([finalizer, "example.test/other"]);
    }
    make(&server, &wanted);
    let pods = Pods::ready_in(&server, NAMESPACE);
    let controller = Controller::start(server.kubeconfig());
    until_phase(&server, "Initialized");
    eventually("the target to have no pods", || replicas(&server, "shop") == 0).expect("scaled");
    (server, pods, controller)
}

fn is_gone(server: &ApiServer, version: &str, kind: &str, name: &str) -> bool {
    server.get(&at(version, kind, name)).is_err()
}

#[test]
fn one_that_reverts_gives_its_target_back_before_anything_goes() {
    let (server, pods, _controller) = initialized(true, None);
    let held = server.get(&the_canary()).expect("the Canary")["metadata"]["finalizers"].clone();
    assert_eq!(held, json!([keys::FINALIZER]));
    // From now on no pod becomes ready.
    drop(pods);
    server.delete(&the_canary()).expect("deleted");
    until_phase(&server, "Terminating");
    eventually("the target to be scaled", || replicas(&server, "shop") == 2).expect("scaled");
    thread::sleep(QUIET);
    let selector =
        server.get(&at("v1", "Service", "store")).expect("the apex")["spec"]["selector"].clone();
    assert_eq!(selector, json!({ "app": "shop-primary" }));
    assert!(!is_gone(&server, "apps/v1", "Deployment", "shop-primary"));

    let _pods = Pods::ready_in(&server, NAMESPACE);
    let gone = || is_gone(&server, "apps/v1", "Deployment", "shop-primary");
    eventually("primary to go", gone).expect("it goes");
    assert_eq!(replicas(&server, "shop"), 2);
    assert!(is_gone(&server, "serin.dev/v1beta1", "Canary", "release"));
    assert!(is_gone(&server, ISTIO, "VirtualService", "store"));
    for what in ["Terminating canary release.prod", "Terminated canary release.prod"] {
        until_told(&server, what);
    }
}

#[test]
fn flaggers_hold_is_honoured_and_anothers_is_left() {
    let (server, _pods, _controller) = initialized(true, Some(keys::FLAGGER_FINALIZER));
    server.delete(&the_canary()).expect("deleted");
    let finalizers =
        || server.get(&the_canary()).expect("it is held")["metadata"]["finalizers"].clone();
    eventually("Flagger's to go", || finalizers() == json!(["example.test/other"])).expect("gone");
    assert_eq!(replicas(&server, "shop"), 2);
}

#[test]
fn one_that_does_not_revert_goes_at_once_and_so_does_a_hold_that_is_not_wanted_any_more() {
    let (server, _pods, _controller) = initialized(true, None);
    let mut unheld = canary(&json!({}));
    unheld["spec"]["revertOnDeletion"] = false.into();
    make(&server, &unheld);
    let at = path(&unheld).expect("a path");
    let free = || server.get(&at).expect("the Canary")["metadata"]["finalizers"].is_null();
    eventually("the hold to go", free).expect("it goes");
    server.delete(&at).expect("deleted");
    assert!(server.get(&at).is_err());
    eventually("primary to go", || is_gone(&server, "apps/v1", "Deployment", "shop-primary"))
        .expect("it is collected");
    assert_eq!(replicas(&server, "shop"), 0);
}
