//! The controller on a real API server: what it makes, restores, refuses and leaves alone.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, sync::Arc, thread, time::Duration};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use serin_api::Group;
use serin_cluster::apiserver::ApiServer;
use serin_controller::logs;
use serin_controller::run::{Options, Shared, run_alone};
use serin_controller::scope::{Installation, Reach, Receiver};
use serin_e2e_apiserver::{eventually, namespace, path, with_istio};
use serin_receiver::Peers;
use tokio::{net::TcpListener, runtime::Runtime, sync::oneshot};

use crate::pods::Pods;
use crate::proxies::Proxies;

pub(crate) const NAMESPACE: &str = "prod";
/// Everything that is made for a Canary of Deployment `shop`, whose service is `store` and who reads `settings`.
const MADE: [(&str, &str, &str); 8] = [
    ("v1", "Service", "store"),
    ("v1", "Service", "store-primary"),
    ("v1", "Service", "store-canary"),
    ("v1", "ConfigMap", "settings-primary"),
    ("apps/v1", "Deployment", "shop-primary"),
    ("networking.istio.io/v1beta1", "DestinationRule", "store-primary"),
    ("networking.istio.io/v1beta1", "DestinationRule", "store-canary"),
    ("networking.istio.io/v1beta1", "VirtualService", "store"),
];
/// Long enough for a write that should not come.
pub(crate) const QUIET: Duration = Duration::from_secs(2);

/// A running controller; dropped, it has stopped.
pub(crate) struct Controller {
    runtime: Option<Runtime>,
    reports: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
}

impl Controller {
    pub(crate) fn start(kubeconfig: &Path) -> Self {
        Self::telling(kubeconfig, None)
    }

    /// One that tells somebody of the events of all Canaries.
    pub(crate) fn telling(kubeconfig: &Path, event_webhook: Option<String>) -> Self {
        let _ = logs::start("serin_controller=debug", logs::Format::Text);
        let runtime = Runtime::new().expect("a runtime");
        let (stop, stopped) = oneshot::channel();
        let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let reports = listener.local_addr().expect("its address");
        runtime.spawn(async move {
            let options = KubeConfigOptions::default();
            let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
            let client = Client::try_from(config.expect("a configuration")).expect("a client");
            let options = Options { event_webhook, ..self::options() };
            let stopped = async move { drop(stopped.await) };
            let shared = Shared::default();
            let _server = shared.receive(listener, Peers::Unknown).expect("it receives");
            run_alone(client, options, &shared, stopped).await.expect("it serves");
        });
        Self { runtime: Some(runtime), reports, stop: Some(stop) }
    }

    /// Where it takes reports.
    pub(crate) fn reports(&self) -> SocketAddr {
        self.reports
    }
}

/// As an installer decides, but for the filter: there is no proxy here to load one.
pub(crate) fn options() -> Options {
    let digest = "0".repeat(64);
    let module = format!("oci://registry.example/serin@sha256:{digest}");
    let receiver = Receiver {
        service: "serin-telemetry".to_owned(),
        namespace: "default".to_owned(),
        port: 8080,
        domain: "cluster.local".to_owned(),
        path: "/v1/reports".to_owned(),
        period_ms: 1000,
    };
    let installation = Installation {
        root_namespace: "istio-system".to_owned(),
        module: module.parse().expect("it is pinned"),
        pull_secret: None,
        receiver,
    };
    let groups = [Group::Serin].into();
    Options { groups, installation, reach: Reach::Scoped, event_webhook: None }
}

impl Drop for Controller {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

/// An API server with a Deployment, what it reads, and its Canary.
pub(crate) fn world() -> Arc<ApiServer> {
    let server = Arc::new(with_istio().expect("an API server with Istio's definitions"));
    namespace(&server, NAMESPACE).expect("a namespace");
    let settings = object("v1", "ConfigMap", "settings", json!({ "data": { "colour": "red" } }));
    for it in [settings, deployment("shop", "registry.example/shop:1"), canary(&json!({}))] {
        make(&server, &it);
    }
    server
}

pub(crate) fn object(version: &str, kind: &str, name: &str, mut rest: Value) -> Value {
    rest["apiVersion"] = version.into();
    rest["kind"] = kind.into();
    rest["metadata"] = json!({ "name": name, "namespace": NAMESPACE });
    rest
}

pub(crate) fn deployment(name: &str, image: &str) -> Value {
    let labels = json!({ "app": name });
    let from = json!([{ "configMapRef": { "name": "settings" } }]);
    let container = json!({ "name": "app", "image": image, "envFrom": from });
    let template =
        json!({ "metadata": { "labels": labels }, "spec": { "containers": [container] } });
    let spec =
        json!({ "replicas": 2, "selector": { "matchLabels": labels }, "template": template });
    object("apps/v1", "Deployment", name, json!({ "spec": spec }))
}

pub(crate) fn canary(analysis: &Value) -> Value {
    let mut spec = json!({
        "targetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "shop" },
        "service": { "name": "store", "port": 80, "targetPort": 9898 },
        "analysis": { "interval": "10s", "threshold": 2, "stepWeight": 10, "maxWeight": 50 },
    });
    for (name, value) in analysis.as_object().into_iter().flatten() {
        spec["analysis"][name] = value.clone();
    }
    object("serin.dev/v1beta1", "Canary", "release", json!({ "spec": spec }))
}

pub(crate) fn make(server: &ApiServer, object: &Value) {
    server.apply(&path(object).expect("a path"), "author", object).expect("it is taken");
}

fn made() -> impl Iterator<Item = String> {
    MADE.iter().map(|(version, kind, name)| at(version, kind, name))
}

pub(crate) fn at(version: &str, kind: &str, name: &str) -> String {
    path(&object(version, kind, name, json!({}))).expect("a path")
}

pub(crate) fn the_canary() -> String {
    at("serin.dev/v1beta1", "Canary", "release")
}

/// Waits until it is so.
pub(crate) fn until(what: &str, so: impl FnMut() -> bool) {
    eventually(what, so).unwrap_or_else(|error| panic!("{error:#}"));
}

pub(crate) fn until_phase(server: &ApiServer, phase: &str) {
    let reached = || server.get(&the_canary()).is_ok_and(|it| it["status"]["phase"] == phase);
    if let Err(error) = eventually(&format!("phase {phase}"), reached) {
        panic!("{error:#}: {:#}", server.get(&the_canary()).expect("the Canary"));
    }
}

/// The versions of all that was made, and of what it was made for.
fn versions(server: &ApiServer) -> BTreeMap<String, Value> {
    let target = at("apps/v1", "Deployment", "shop");
    let all = made().chain([the_canary(), target]);
    let version = |at: String| {
        let it = server.get(&at).unwrap_or_else(|error| panic!("{error:#}"));
        (at, it["metadata"]["resourceVersion"].clone())
    };
    all.map(version).collect()
}

/// Waits until nobody writes any more.
fn settled(server: &ApiServer) -> BTreeMap<String, Value> {
    let mut before = versions(server);
    eventually("nobody to write", || {
        thread::sleep(QUIET);
        let now = versions(server);
        let same = now == before;
        before = now;
        same
    })
    .expect("quiet");
    versions(server)
}

/// What of an object is the controller's: without what the API server and other controllers write.
fn essence(mut object: Value) -> Value {
    let metadata = object["metadata"].take();
    for part in ["labels", "annotations"] {
        object["metadata"][part] = metadata[part].clone();
    }
    if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
        annotations.remove("deployment.kubernetes.io/revision");
    }
    object["status"] = Value::Null;
    object["spec"]["clusterIP"] = Value::Null;
    object["spec"]["clusterIPs"] = Value::Null;
    object
}

pub(crate) fn replicas(server: &ApiServer, name: &str) -> i64 {
    let deployment = server.get(&at("apps/v1", "Deployment", name)).expect("a Deployment");
    deployment["spec"]["replicas"].as_i64().expect("replicas")
}

pub(crate) fn messages(server: &ApiServer) -> Vec<String> {
    let events = format!("/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events");
    let list = server.get(&events).expect("events");
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let ours = items.iter().filter(|it| it["reportingController"] == "serin");
    ours.filter_map(|it| it["note"].as_str().map(str::to_owned)).collect()
}

pub(crate) fn until_told(server: &ApiServer, part: &str) {
    let told = || messages(server).iter().any(|it| it.contains(part));
    if let Err(error) = eventually(&format!("an event: {part}"), told) {
        panic!("{error:#}: {:#?}", messages(server));
    }
}

#[test]
fn a_canary_is_initialized_and_whatever_is_deleted_or_mangled_comes_back() {
    let server = world();
    let _pods = Pods::ready_in(&server, NAMESPACE);
    let controller = Controller::start(server.kubeconfig());
    until_phase(&server, "Initialized");
    until_told(&server, "Initialization done! release.prod");
    eventually("the target to have no pods", || replicas(&server, "shop") == 0).expect("scaled");
    assert_eq!(replicas(&server, "shop-primary"), 2);

    for at in made() {
        let whole = server.get(&at).expect("it is made");
        server.delete(&at).expect("deleted");
        let back = || {
            let now = server.get(&at);
            now.is_ok_and(|now| {
                now["metadata"]["uid"] != whole["metadata"]["uid"]
                    && essence(now) == essence(whole.clone())
            })
        };
        if let Err(error) = eventually("it to come back", back) {
            panic!("{at}: {error:#}: {:#}", server.get(&at).unwrap_or_default());
        }
    }
    for (at, wound) in wounds() {
        let whole = essence(server.get(&at).expect("it is made"));
        server.merge(&at, &wound).expect("mangled");
        let healed = || server.get(&at).is_ok_and(|now| essence(now) == whole);
        if let Err(error) = eventually("it to be mended", healed) {
            panic!("{at}: {error:#}: {:#}", server.get(&at).unwrap_or_default());
        }
    }

    // A restart, which looks at everything again, writes nothing.
    let quiet = settled(&server);
    drop(controller);
    let _controller = Controller::start(server.kubeconfig());
    thread::sleep(3 * QUIET);
    assert_eq!(versions(&server), quiet);
}

/// What a person, or another controller, may do to each kind of object.
fn wounds() -> Vec<(String, Value)> {
    let istio = "networking.istio.io/v1beta1";
    let wrong = json!([{ "name": "app", "image": "registry.example/wrong:1" }]);
    let elsewhere = json!([{ "route": [{ "destination": { "host": "elsewhere" } }] }]);
    vec![
        (at("v1", "Service", "store"), json!({ "spec": { "selector": { "app": "wrong" } } })),
        (
            at("v1", "Service", "store-canary"),
            json!({ "metadata": { "labels": { "serin.dev/canary": null, "app.kubernetes.io/managed-by": null },
                                  "ownerReferences": null } }),
        ),
        (at("v1", "ConfigMap", "settings-primary"), json!({ "data": { "colour": "blue" } })),
        (
            at("apps/v1", "Deployment", "shop-primary"),
            json!({ "spec": { "replicas": 0, "template": { "spec": { "containers": wrong } } } }),
        ),
        (at(istio, "DestinationRule", "store-primary"), json!({ "spec": { "host": "elsewhere" } })),
        (at(istio, "VirtualService", "store"), json!({ "spec": { "http": elsewhere } })),
    ]
}

#[test]
fn a_new_revision_is_noticed_and_waits_and_one_that_is_taken_back_goes() {
    let server = world();
    let _pods = Pods::ready_in(&server, NAMESPACE);
    let controller = Controller::start(server.kubeconfig());
    until_phase(&server, "Initialized");
    let target = at("apps/v1", "Deployment", "shop");
    let primary = at("apps/v1", "Deployment", "shop-primary");
    eventually("the target to have no pods", || replicas(&server, "shop") == 0).expect("scaled");
    let image = |at: &str| {
        let it = server.get(at).expect("a Deployment");
        it["spec"]["template"]["spec"]["containers"][0]["image"].clone()
    };
    make_image(&server, "registry.example/shop:2");
    until_phase(&server, "Progressing");
    eventually("the canary's pods", || replicas(&server, "shop") == 2).expect("scaled");
    // Primary is restored from the target's history while the target is ahead.
    server.delete(&primary).expect("deleted");
    eventually("primary to come back", || server.get(&primary).is_ok()).expect("restored");
    assert_eq!(image(&primary), "registry.example/shop:1");
    thread::sleep(QUIET);
    let canary = server.get(&the_canary()).expect("the Canary");
    assert_eq!(canary["status"]["canaryWeight"], 0);
    assert_eq!(image(&target), "registry.example/shop:2");

    let _proxies = Proxies::in_namespace(&server, NAMESPACE, controller.reports());
    make_image(&server, "registry.example/shop:1");
    until_phase(&server, "Failed");
    eventually("the target to have no pods", || replicas(&server, "shop") == 0).expect("scaled");
    assert_eq!(image(&primary), "registry.example/shop:1");
}

pub(crate) fn make_image(server: &ApiServer, image: &str) {
    let mut next = deployment("shop", image);
    // Its author has left the replicas to others.
    next["spec"].as_object_mut().expect("a spec").remove("replicas");
    make(server, &next);
}

#[test]
fn what_is_not_carried_out_is_refused_by_name_and_nothing_is_touched() {
    let server = Arc::new(with_istio().expect("an API server with Istio's definitions"));
    namespace(&server, NAMESPACE).expect("a namespace");
    make(&server, &canary(&json!({ "mirror": true, "stepWeightPromotion": 50 })));
    let target = at("apps/v1", "Deployment", "shop");
    make(&server, &deployment("shop", "registry.example/shop:1"));
    let before = server.get(&target).expect("the target")["spec"].clone();
    let _controller = Controller::start(server.kubeconfig());
    let problem = |server: &ApiServer| {
        let canary = server.get(&the_canary()).expect("the Canary");
        canary["status"]["serin"]["problems"][0].clone()
    };
    eventually("a problem", || problem(&server)["field"] == "spec.analysis.mirror").expect("one");
    until_told(&server, "spec.analysis.stepWeightPromotion: is valid but not supported yet");
    assert_eq!(server.get(&target).expect("the target")["spec"], before);
    for at in made() {
        assert!(server.get(&at).is_err(), "{at} was made");
    }
    // Put right, it is served; but not where somebody else's object stands in the way.
    make(
        &server,
        &object("v1", "Service", "store-primary", json!({ "spec": { "ports": [{ "port": 1 }] } })),
    );
    make(&server, &canary(&json!({})));
    let why = "Service store-primary exists and was not made for this Canary";
    eventually("a stranger", || problem(&server)["message"].as_str().unwrap_or("").contains(why))
        .expect("it is found");
    assert!(server.get(&at("v1", "Service", "store")).is_err(), "something was made");
    server.delete(&at("v1", "Service", "store-primary")).expect("deleted");
    until_phase(&server, "Initializing");
    eventually("its objects", || server.get(&at("v1", "Service", "store")).is_ok()).expect("made");
    assert!(problem(&server).is_null());
}
