//! From a table to a report to a weight: a release of which filters tell, and whom else nobody believes.

use serde_json::{Value, json};
use serin_cluster::apiserver::ApiServer;

use crate::controller::{
    Controller, NAMESPACE, at, make_image, replicas, the_canary, until, until_phase, until_told,
    world,
};
use crate::pods::Pods;
use crate::proxies::{PROXY, Proxies, post, tables, token};

fn weight(server: &ApiServer) -> Value {
    server.get(&the_canary()).expect("the Canary")["status"]["canaryWeight"].clone()
}

#[test]
fn a_run_gets_weight_when_filters_show_it_and_loses_it_when_the_canary_fails() {
    let server = world();
    let _pods = Pods::ready_in(&server, NAMESPACE);
    let controller = Controller::start(server.kubeconfig());
    until_phase(&server, "Initialized");
    until("a table before any rollout", || {
        tables(&server, NAMESPACE)
            .iter()
            .any(|it| it["rollouts"].as_array().is_none_or(Vec::is_empty))
    });
    make_image(&server, "registry.example/shop:2");
    until("the run in the table, at no weight", || {
        tables(&server, NAMESPACE).iter().any(|it| it["rollouts"][0]["weight"] == 0)
    });
    assert_eq!(weight(&server), 0, "nobody has shown it yet");
    let proxies = Proxies::in_namespace(&server, NAMESPACE, controller.reports());
    until("the first weight", || weight(&server) == 10);
    let route = server.get(&at("networking.istio.io/v1beta1", "VirtualService", "store"));
    let nonce = tables(&server, NAMESPACE)[0]["rollouts"][0]["nonce"].clone();
    assert!(route.expect("a route").to_string().contains(nonce.as_str().expect("a nonce")));

    proxies.fail(20);
    until_phase(&server, "Failed");
    assert_eq!(weight(&server), 0);
    until_told(&server, "Canary failed! Scaling down");
    until("the target to have no pods", || replicas(&server, "shop") == 0);
    until("the run to leave the table", || {
        tables(&server, NAMESPACE)
            .iter()
            .all(|it| it["rollouts"].as_array().is_none_or(Vec::is_empty))
    });
}

#[test]
fn a_plugin_that_is_mangled_or_deleted_comes_back_and_reports_of_others_are_refused() {
    let server = world();
    let _pods = Pods::ready_in(&server, NAMESPACE);
    let controller = Controller::start(server.kubeconfig());
    until_phase(&server, "Initialized");
    let plugin = at("extensions.istio.io/v1alpha1", "WasmPlugin", "serin");
    until("the plugin", || server.get(&plugin).is_ok());
    let before = server.get(&plugin).expect("the plugin")["spec"].clone();
    let same = || server.get(&plugin).is_ok_and(|it| it["spec"] == before);
    server.merge(&plugin, &json!({ "spec": { "failStrategy": "FAIL_CLOSE" } })).expect("mangled");
    until("what was mangled to be mended", same);
    server.delete(&plugin).expect("deleted");
    until("what was deleted to come back", same);

    let table = &tables(&server, NAMESPACE)[0];
    let report = |scope: &str, namespace: &str| {
        json!({ "version": 1, "scope": scope, "proxy": "p", "namespace": namespace,
                "boot": "0123456789abcdef", "sequence": 1, "rollouts": [] })
    };
    let told = |token: &str, report: &Value| post(controller.reports(), token, report);
    let ours = token(table);
    assert_eq!(told(ours, &report("namespace/prod", "prod")), Some(200));
    assert_eq!(told("guess", &report("namespace/prod", "prod")), Some(401));
    assert_eq!(told(ours, &report("namespace/test", "test")), Some(403));
    assert_eq!(told(ours, &report("namespace/prod", "test")), Some(403));
    assert_eq!(told(ours, &json!("no report")), Some(400));
}

#[test]
fn filters_that_fall_silent_while_their_proxy_lives_are_given_another_config() {
    let server = world();
    let _pods = Pods::ready_in(&server, NAMESPACE);
    let controller = Controller::start(server.kubeconfig());
    until_phase(&server, "Initialized");
    make_image(&server, "registry.example/shop:2");
    let _proxies = Proxies::in_namespace(&server, NAMESPACE, controller.reports());
    until("the first weight", || weight(&server) == 10);
    let table = tables(&server, NAMESPACE).remove(0);
    assert!(table["revived"].is_null(), "{table}");
    let rollout = &table["rollouts"][0];
    let part = json!({ "name": rollout["name"], "namespace": rollout["namespace"], "run": rollout["run"],
                       "generation": rollout["generation"], "generations": [] });
    // A second thread of the proxy says one word.
    let report = json!({ "version": 1, "scope": table["scope"], "proxy": PROXY, "namespace": NAMESPACE,
                         "boot": "fedcba9876543210", "sequence": 1, "rollouts": [part] });
    assert_eq!(post(controller.reports(), token(&table), &report), Some(200));
    until("another config", || tables(&server, NAMESPACE)[0]["revived"] == 1);
    until_told(&server, &format!("A filter of {PROXY} reports no longer"));
    let scopes = || {
        let canary = server.get(&the_canary()).expect("the Canary");
        canary["status"]["serin"]["scopes"].clone()
    };
    until("status to count the proxy", || {
        scopes() == json!([{ "name": format!("namespace/{NAMESPACE}"), "reporting": 1 }])
    });
}
