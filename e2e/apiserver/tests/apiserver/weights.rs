//! A release that has weight: what its hooks and its queries do to it.

use std::{
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Bytes, body::Incoming, header::AUTHORIZATION};
use serde_json::{Value, json};
use serin_cluster::apiserver::ApiServer;
use serin_e2e_apiserver::namespace;

use crate::controller::{
    Controller, NAMESPACE, canary, make, make_image, object, the_canary, until, until_phase,
    until_told, world,
};
use crate::listener::Listener;
use crate::loadtester::LoadTester;
use crate::pods::Pods;
use crate::proxies::Proxies;

/// Longer than several intervals, in which a weight that is held would have risen.
const HELD: Duration = Duration::from_secs(4);

fn weight(server: &ApiServer) -> u64 {
    let canary = server.get(&the_canary()).unwrap_or_default();
    canary["status"]["canaryWeight"].as_u64().unwrap_or_default()
}

/// A controller, pods and proxies, with a new revision under way.
fn released(analysis: &Value) -> (Arc<ApiServer>, Controller, Pods, Proxies) {
    let server = world();
    make(&server, &canary(analysis));
    let pods = Pods::ready_in(&server, NAMESPACE);
    let controller = Controller::start(server.kubeconfig());
    until_phase(&server, "Initialized");
    let proxies = Proxies::in_namespace(&server, NAMESPACE, controller.reports());
    make_image(&server, "registry.example/shop:2");
    (server, controller, pods, proxies)
}

#[test]
fn a_rollout_hook_that_fails_as_often_as_it_may_takes_the_weight_back() {
    let tester = LoadTester::start();
    let directory = tempfile::tempdir().expect("a directory");
    let bad = directory.path().join("bad");
    let command = format!("test ! -e {} || (echo no sale; exit 1)", bad.display());
    let hook = json!({ "name": "sale", "type": "rollout", "url": tester.url("/"), "timeout": "15s",
                       "metadata": { "type": "bash", "cmd": command } });
    let (server, ..) =
        &released(&json!({ "interval": "1s", "maxWeight": 100, "webhooks": [hook] }));
    until("some weight", || weight(server) >= 10);
    until("the hook to be called", || !tester.calls("/").is_empty());
    fs::write(&bad, "").expect("written");
    until_told(server, "Halt release.prod advancement external check sale failed");
    until_told(server, "no sale");
    until_told(server, "Rolling back release.prod failed checks threshold reached 2");
    until_phase(server, "Failed");
    assert_eq!(weight(server), 0);
    assert_eq!(tester.calls("/").last().expect("a call")["phase"], "Progressing");
}

#[test]
fn a_gate_holds_a_weight_until_it_opens() {
    let tester = LoadTester::start();
    let gate = json!({ "name": "more", "type": "confirm-traffic-increase",
                       "url": tester.url("/gate/check") });
    let (server, ..) = &released(&json!({ "interval": "1s", "webhooks": [gate] }));
    until("the gate to be asked", || !tester.calls("/gate/check").is_empty());
    assert_eq!(weight(server), 0, "the first weight is an increase, too");
    tester.open("release.prod");
    until("the first weight", || weight(server) >= 10);
    tester.close("release.prod");
    // One that was asked for before may rise yet.
    thread::sleep(HELD);
    let held = weight(server);
    thread::sleep(HELD);
    assert_eq!(weight(server), held, "it has risen behind a closed gate");
    tester.open("release.prod");
    until("it to rise", || weight(server) > held);
}

/// Prometheus, as far as a query goes, for those who show their credentials.
struct Provider {
    listener: Listener,
    value: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    queries: Arc<Mutex<Vec<String>>>,
}

impl Provider {
    fn demanding(credentials: &'static str) -> Self {
        let (value, refused) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let queries = Arc::<Mutex<Vec<String>>>::default();
        let state = (Arc::clone(&value), Arc::clone(&refused), Arc::clone(&queries));
        let listener = Listener::start(move |request: Request<Incoming>| {
            let (value, refused, queries) = &state;
            let shown = request.headers().get(AUTHORIZATION).and_then(|it| it.to_str().ok());
            let mut response = Response::new(Full::<Bytes>::default());
            if shown == Some(credentials) {
                let query = request.uri().query().unwrap_or_default().to_owned();
                queries.lock().expect("no panic").push(query);
                let sample = json!([0, value.load(Ordering::SeqCst).to_string()]);
                let data = json!({ "resultType": "vector", "result": [{ "metric": {}, "value": sample }] });
                let text = json!({ "status": "success", "data": data }).to_string();
                *response.body_mut() = Full::from(text);
            } else {
                refused.fetch_add(1, Ordering::SeqCst);
                *response.status_mut() = StatusCode::UNAUTHORIZED;
            }
            async move { response }
        });
        Self { listener, value, refused, queries }
    }
}

/// A release whose one check asks a provider that demands `credentials`, which come from a Secret.
fn a_check_with(credentials: &'static str, secret: &Value) {
    let provider = Provider::demanding(credentials);
    let server = world();
    namespace(&server, "istio-system").expect("a namespace");
    let mut template = object(
        "serin.dev/v1beta1",
        "MetricTemplate",
        "error-rate",
        json!({ "spec": {
            "provider": { "type": "prometheus", "address": provider.listener.url(""),
                          "secretRef": { "name": "credentials" } },
            "query": "errors{app=\"{{ target }}\"}",
        } }),
    );
    template["metadata"]["namespace"] = "istio-system".into();
    make(&server, &template);
    let reference = json!({ "name": "error-rate", "namespace": "istio-system" });
    let metric = json!({ "name": "errors", "interval": "30s", "templateRef": reference,
                         "thresholdRange": { "max": 5 } });
    make(&server, &canary(&json!({ "interval": "1s", "threshold": 1, "metrics": [metric] })));
    let _pods = Pods::ready_in(&server, NAMESPACE);
    let controller = Controller::start(server.kubeconfig());
    until_phase(&server, "Initialized");
    let _proxies = Proxies::in_namespace(&server, NAMESPACE, controller.reports());
    make_image(&server, "registry.example/shop:2");
    until("the first weight", || weight(&server) == 10);
    until_told(&server, "secret credentials.istio-system error");
    assert!(provider.queries.lock().expect("no panic").is_empty());

    let mut kept = object("v1", "Secret", "credentials", json!({ "data": { "token": "eA==" } }));
    kept["metadata"]["namespace"] = "istio-system".into();
    make(&server, &kept);
    until("it to be refused", || provider.refused.load(Ordering::SeqCst) > 0);
    assert_eq!(weight(&server), 10, "nobody has measured anything yet");
    // Read anew for each question.
    kept["data"] = secret.clone();
    make(&server, &kept);
    until("the next weight", || weight(&server) > 10);
    let query = provider.queries.lock().expect("no panic")[0].clone();
    assert!(query.contains("errors") && query.contains("shop"), "{query}");

    provider.value.store(9, Ordering::SeqCst);
    until_phase(&server, "Failed");
    assert_eq!(weight(&server), 0);
    until_told(&server, "Halt release.prod advancement errors 9.00 > 5");
}

#[test]
fn a_query_shows_the_token_of_a_secret_and_its_answer_decides() {
    // t0k3n and a line break, as people make it from a file.
    a_check_with("Bearer t0k3n", &json!({ "token": "dDBrM24K" }));
}

#[test]
fn a_query_shows_the_name_and_password_of_a_secret() {
    // user, hush.
    let secret = json!({ "username": "dXNlcg==", "password": "aHVzaA==" });
    a_check_with("Basic dXNlcjpodXNo", &secret);
}
