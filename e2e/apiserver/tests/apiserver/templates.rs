//! `MetricTemplate`s of a running controller: what is wrong with one is said at its Canaries, and an edit wakes them.

use serde_json::{Value, json};
use serin_cluster::apiserver::ApiServer;
use serin_e2e_apiserver::{eventually, namespace};

use crate::controller::{
    Controller, NAMESPACE, canary, make, the_canary, until_phase, until_told, world,
};
use crate::pods::Pods;

fn template(kind: &str, query: &str) -> Value {
    let provider = json!({ "type": kind, "address": "http://prometheus.test:9090" });
    json!({
        "apiVersion": "serin.dev/v1beta1", "kind": "MetricTemplate",
        "metadata": { "name": "error-rate", "namespace": "istio-system" },
        "spec": { "provider": provider, "query": query },
    })
}

fn until_problem(server: &ApiServer, field: &str, part: &str) {
    let problems = || {
        let canary = server.get(&the_canary()).unwrap_or_default();
        canary["status"]["serin"]["problems"].clone()
    };
    let is = |it: &Value| {
        it["field"] == field && it["message"].as_str().is_some_and(|it| it.contains(part))
    };
    let told = || problems().as_array().is_some_and(|all| all.len() == 1 && is(&all[0]));
    eventually(part, told).unwrap_or_else(|error| panic!("{error:#}: {:#}", problems()));
}

#[test]
fn a_template_that_is_missing_or_wrong_is_told_by_field_and_an_edit_wakes_its_canaries() {
    let server = world();
    namespace(&server, "istio-system").expect("a namespace");
    let reference = json!({ "name": "error-rate", "namespace": "istio-system" });
    let metric = json!({ "name": "errors", "interval": "30s", "templateRef": reference,
                         "thresholdRange": { "max": 1 } });
    make(&server, &canary(&json!({ "metrics": [metric] })));
    let _pods = Pods::ready_in(&server, NAMESPACE);
    let _controller = Controller::start(server.kubeconfig());
    let missing = "there is no MetricTemplate error-rate in namespace istio-system";
    until_problem(&server, "spec.analysis.metrics[0].templateRef", missing);
    until_told(&server, missing);

    make(&server, &template("datadog", "avg:errors"));
    let field = "MetricTemplate error-rate: spec.provider.type";
    until_problem(&server, field, "datadog is valid but not supported yet");
    make(&server, &template("prometheus", "errors{app=\"{{ .Target }}\"}"));
    until_problem(&server, "MetricTemplate error-rate: spec.query", ".Target");
    make(&server, &template("prometheus", "errors{app=\"{{ variables.x }}\"}"));
    until_problem(&server, "spec.analysis.metrics[0].templateVariables", "has no x");
    make(&server, &template("prometheus", "errors{app=\"{{ target }}\"}"));
    until_phase(&server, "Initialized");
}
