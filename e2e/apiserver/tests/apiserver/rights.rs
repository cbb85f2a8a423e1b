//! The controller with the rights that are installed, and no others: nothing that it asks is refused.

use std::{fs, sync::Arc, time::Duration};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{Request, params::GetParams};
use kube::{Client, Config};
use serde_json::{Value, json};
use serin_cluster::apiserver::ApiServer;
use serin_e2e_apiserver::{eventually, objects, repository};
use tokio::runtime::Runtime;

use crate::controller::{Controller, make_image, replicas, until_phase, until_told, world};
use crate::pods::Pods;
use crate::proxies::Proxies;

const NAMESPACE: &str = "serin-system";
const ACCOUNT: &str = "system:serviceaccount:serin-system:serin-controller";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// Installs the roles of `deploy/base`, bound to the controller's account.
fn install_rights(server: &ApiServer) {
    serin_e2e_apiserver::namespace(server, NAMESPACE).expect("a namespace");
    let file = repository("deploy/base/rights.yaml");
    for mut object in objects(&file).expect("the rights") {
        // As kustomize does it.
        for subject in object["subjects"].as_array_mut().into_iter().flatten() {
            subject["namespace"] = NAMESPACE.into();
        }
        let kind = object["kind"].as_str().expect("a kind").to_lowercase();
        let at = if kind.starts_with("cluster") {
            format!("{RBAC}/{kind}s")
        } else {
            format!("{RBAC}/namespaces/{NAMESPACE}/{kind}s")
        };
        server.post(&at, &object).unwrap_or_else(|error| panic!("{at}: {error:#}"));
    }
}

/// A kubeconfig that acts as the controller's account.
fn as_the_controller(server: &ApiServer) -> tempfile::NamedTempFile {
    let text = fs::read_to_string(server.kubeconfig()).expect("a kubeconfig");
    let mut config: Value = serde_json::from_str(&text).expect("it is written as JSON");
    config["users"][0]["user"]["as"] = ACCOUNT.into();
    config["users"][0]["user"]["as-groups"] =
        json!(["system:serviceaccounts", "system:authenticated"]);
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), config.to_string()).expect("written");
    file
}

/// Answers 403 of an API server so far, each kind of request as its own line.
fn refusals(server: &ApiServer) -> Vec<String> {
    let kubeconfig = Kubeconfig::read_from(server.kubeconfig()).expect("a kubeconfig");
    let metrics = Runtime::new().expect("a runtime").block_on(async {
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await.expect("read");
        let client = Client::try_from(config).expect("a client");
        let request = Request::new("").get("metrics", &GetParams::default()).expect("a request");
        client.request_text(request).await.expect("metrics")
    });
    let requests = metrics.lines().filter(|it| it.starts_with("apiserver_request_total{"));
    requests.filter(|it| it.contains(r#"code="403""#)).map(str::to_owned).collect()
}

#[test]
fn nothing_that_the_controller_asks_is_refused() {
    let server: Arc<ApiServer> = world();
    install_rights(&server);
    let kubeconfig = as_the_controller(&server);
    let before = refusals(&server);
    let _pods = Pods::ready_in(&server, "prod");
    let controller = Controller::start(kubeconfig.path());
    let _proxies = Proxies::in_namespace(&server, "prod", controller.reports());
    until_phase(&server, "Initialized");
    until_told(&server, "Initialization done!");
    eventually("the target to have no pods", || replicas(&server, "shop") == 0).expect("scaled");
    make_image(&server, "registry.example/shop:2");
    until_phase(&server, "Progressing");
    eventually("the canary's pods", || replicas(&server, "shop") == 2).expect("scaled");
    // Taken back: the canary's route is pruned, its pods go.
    make_image(&server, "registry.example/shop:1");
    until_phase(&server, "Failed");
    eventually("the target to have no pods", || replicas(&server, "shop") == 0).expect("scaled");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(refusals(&server), before);
}
