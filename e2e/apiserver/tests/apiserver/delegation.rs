//! A delegate: its routes are those of whoever delegates to it, in whatever namespace.

use std::{thread, time::Duration};

use serde_json::{Value, json};
use serin_cluster::apiserver::ApiServer;
use serin_e2e_apiserver::namespace;

use crate::controller::{Controller, NAMESPACE, at, canary, make, until_phase, until_told, world};
use crate::pods::Pods;

/// Whatever was written before has been seen by then.
const QUIET: Duration = Duration::from_secs(3);
const ISTIO: &str = "networking.istio.io/v1beta1";

#[test]
fn a_delegate_is_entered_through_its_roots_and_learns_of_new_ones() {
    let server = world();
    for name in ["edge", "rim"] {
        namespace(&server, name).expect("a namespace");
    }
    let mut delegate = canary(&json!({}));
    delegate["spec"]["service"]["delegation"] = true.into();
    make(&server, &delegate);
    make(&server, &root("edge", "first", "store"));
    let _pods = Pods::ready_in(&server, NAMESPACE);
    let _controller = Controller::start(server.kubeconfig());
    until_phase(&server, "Initialized");
    // Its gateway is looked for; there is none.
    until_told(&server, "Gateway edge/first does not exist");
    let routes = routes(&server);
    assert!(routes["hosts"].is_null() && routes["gateways"].is_null(), "{routes}");
    assert_eq!(routes["http"][0]["name"], "serin/store.prod/primary");
    // A root that changes, and one that comes to be one.
    make(&server, &root("edge", "second", "store"));
    until_told(&server, "Gateway edge/second does not exist");
    make(&server, &root("rim", "third", "other"));
    // Nothing else wakes it.
    thread::sleep(QUIET);
    make(&server, &root("rim", "third", "store"));
    until_told(&server, "Gateway rim/third does not exist");
}

fn routes(server: &ApiServer) -> Value {
    server.get(&at(ISTIO, "VirtualService", "store")).expect("routes")["spec"].clone()
}

fn root(namespace: &str, gateway: &str, to: &str) -> Value {
    json!({
        "apiVersion": ISTIO, "kind": "VirtualService",
        "metadata": { "name": "root", "namespace": namespace },
        "spec": {
            "hosts": ["shop.test"], "gateways": [gateway],
            "http": [{ "delegate": { "name": to, "namespace": NAMESPACE } }],
        },
    })
}
