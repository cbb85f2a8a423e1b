//! What happens to a Canary while the controller may crash, and how it ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use serin_cluster::apiserver::ApiServer;
use serin_controller::run::{Options, Shared, run_alone};
use serin_e2e_apiserver::{namespace, path};
use serin_receiver::Peers;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::controller::options;
use crate::faults::{Faults, Process};
use crate::proxies::{Proxies, Receiver};
use crate::scripted::BAD;

const KINDS: [(&str, &str); 7] = [
    ("/api/v1", "services"),
    ("/api/v1", "configmaps"),
    ("/apis/apps/v1", "deployments"),
    ("/apis/networking.istio.io/v1beta1", "destinationrules"),
    ("/apis/networking.istio.io/v1beta1", "virtualservices"),
    ("/apis/extensions.istio.io/v1alpha1", "wasmplugins"),
    ("/apis/serin.dev/v1beta1", "canaries"),
];
const CANARY: &str = "release";
const WEIGHTS: [u64; 2] = [10, 50];
/// Of the canary's fifty requests in each of the proxies' periods, in a rollback.
const FAILING: u64 = 20;
/// Before a controller that could not begin is started again.
const RESTART: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// A Canary is made.
    Initialization,
    /// A new revision is promoted, from weight to weight.
    Promotion,
    /// A new revision fails requests.
    Rollback,
    /// A new revision does not come up.
    Stuck,
    /// A Canary that was asked to revert is deleted; apex and routes were somebody's before.
    Deletion,
    /// Likewise, while a new revision has weight.
    Withdrawal,
}

impl Scenario {
    pub(crate) const ALL: [Self; 6] = [
        Self::Initialization,
        Self::Promotion,
        Self::Rollback,
        Self::Stuck,
        Self::Deletion,
        Self::Withdrawal,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Initialization => "initialization",
            Self::Promotion => "promotion",
            Self::Rollback => "rollback",
            Self::Stuck => "stuck",
            Self::Deletion => "deletion",
            Self::Withdrawal => "withdrawal",
        }
    }

    /// Fewer writes are no such scenario.
    pub(crate) fn writes_min(self) -> usize {
        match self {
            Self::Promotion => 20,
            Self::Initialization | Self::Rollback => 12,
            Self::Stuck | Self::Deletion | Self::Withdrawal => 6,
        }
    }

    /// Whether the scenario's own part may begin.
    pub(crate) fn has_begun(self, world: &World) -> bool {
        let rests = || world.is_at_rest("Initialized");
        match self {
            Self::Initialization => true,
            Self::Promotion | Self::Rollback | Self::Stuck | Self::Deletion => rests(),
            Self::Withdrawal if rests() => {
                world.deploy("2");
                false
            }
            Self::Withdrawal => world.weight() == WEIGHTS[0],
        }
    }

    pub(crate) fn act(self, world: &World) {
        match self {
            Self::Initialization => world.make(&world.canary(self)),
            Self::Promotion => world.deploy("2"),
            Self::Rollback => {
                world.proxies.fail(FAILING);
                world.deploy("2");
            }
            Self::Stuck => world.deploy(BAD),
            Self::Deletion | Self::Withdrawal => {
                let at = path(&world.canary(self)).expect("a path");
                world.server.delete(&at).expect("deleted");
            }
        }
    }

    pub(crate) fn is_over(self, world: &World) -> bool {
        match self {
            Self::Initialization => world.is_at_rest("Initialized"),
            Self::Promotion => world.is_at_rest("Succeeded"),
            Self::Rollback | Self::Stuck => world.is_at_rest("Failed"),
            Self::Deletion | Self::Withdrawal => world.get(&world.canary(self)).is_null(),
        }
    }

    /// It begins with a decision, which is committed before anything is applied.
    pub(crate) fn decides(self) -> bool {
        matches!(self, Self::Promotion | Self::Rollback | Self::Stuck)
    }

    fn reverts(self) -> bool {
        matches!(self, Self::Deletion | Self::Withdrawal)
    }

    /// Between two reports. Each that adds to the evidence is a write, and conviction takes ten seconds.
    fn period(self) -> Duration {
        let millis = if self == Self::Rollback { 2500 } else { 250 };
        Duration::from_millis(millis)
    }

    /// As short as may be, but where a weight has to last. Each round is two writes.
    fn interval(self) -> &'static str {
        match self {
            Self::Withdrawal => "1m",
            Self::Rollback => "10s",
            _ => "1s",
        }
    }
}

/// A namespace with a Deployment, what it reads, and its Canary.
pub(crate) struct World {
    pub(crate) server: Arc<ApiServer>,
    pub(crate) namespace: String,
    receiver: Receiver,
    proxies: Proxies,
    runtime: Runtime,
}

impl World {
    pub(crate) fn new(server: &Arc<ApiServer>, name: &str, scenario: Scenario) -> Self {
        namespace(server, name).expect("a namespace");
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime");
        let receiver = Receiver::default();
        let period = scenario.period();
        let proxies = Proxies::reporting_to(server, name, receiver.clone(), period);
        let (server, namespace) = (Arc::clone(server), name.to_owned());
        let world = Self { server, namespace, receiver, proxies, runtime };
        let settings = json!({ "data": { "colour": "red" } });
        world.make(&world.object("v1", "ConfigMap", "settings", settings));
        world.deploy("1");
        if scenario.reverts() {
            world.make(&world.object("v1", "Service", "store", apex()));
            let routes =
                world.object("networking.istio.io/v1beta1", "VirtualService", "store", routes());
            world.make(&routes);
        }
        if scenario != Scenario::Initialization {
            world.make(&world.canary(scenario));
        }
        world
    }

    /// A controller that lives until this is dropped, or its process ends: all at once, with all that it remembers.
    pub(crate) fn controller(&self, process: &Arc<Process>) -> Running {
        serve(&self.runtime, self.server.kubeconfig(), process, &self.receiver)
    }

    pub(crate) fn object(&self, version: &str, kind: &str, name: &str, mut rest: Value) -> Value {
        rest["apiVersion"] = version.into();
        rest["kind"] = kind.into();
        rest["metadata"] = json!({ "name": name, "namespace": self.namespace });
        rest
    }

    pub(crate) fn canary(&self, scenario: Scenario) -> Value {
        let spec = json!({
            "targetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "shop" },
            "service": { "name": "store", "port": 80, "targetPort": 9898 },
            "revertOnDeletion": scenario.reverts(),
            "analysis": { "interval": scenario.interval(), "threshold": 2, "stepWeights": WEIGHTS },
        });
        self.object("serin.dev/v1beta1", "Canary", CANARY, json!({ "spec": spec }))
    }

    /// The target, by its author, who leaves the replicas to others once it is there.
    pub(crate) fn deploy(&self, tag: &str) {
        let labels = json!({ "app": "shop" });
        let from = json!([{ "configMapRef": { "name": "settings" } }]);
        let image = format!("registry.example/shop:{tag}");
        let container = json!({ "name": "app", "image": image, "envFrom": from });
        let template =
            json!({ "metadata": { "labels": labels }, "spec": { "containers": [container] } });
        let mut spec = json!({ "selector": { "matchLabels": labels }, "template": template });
        if tag == "1" {
            spec["replicas"] = 2.into();
        }
        self.make(&self.object("apps/v1", "Deployment", "shop", json!({ "spec": spec })));
    }

    pub(crate) fn make(&self, object: &Value) {
        let made = self.server.apply(&path(object).expect("a path"), "author", object);
        made.unwrap_or_else(|error| panic!("{error:#}"));
    }

    fn get(&self, object: &Value) -> Value {
        self.server.get(&path(object).expect("a path")).unwrap_or_default()
    }

    fn weight(&self) -> Value {
        let canary = self.get(&self.object("serin.dev/v1beta1", "Canary", CANARY, json!({})));
        canary["status"]["canaryWeight"].clone()
    }

    /// Whether the Canary is in a phase without a run, and the target has no pods.
    fn is_at_rest(&self, phase: &str) -> bool {
        let canary = self.get(&self.object("serin.dev/v1beta1", "Canary", CANARY, json!({})));
        let target = self.get(&self.object("apps/v1", "Deployment", "shop", json!({})));
        canary["status"]["phase"] == phase && target["spec"]["replicas"] == 0
    }

    /// All objects, without what differs from run to run.
    pub(crate) fn snapshot(&self) -> Value {
        let mut all = BTreeMap::new();
        for (root, plural) in KINDS {
            let at = format!("{root}/namespaces/{}/{plural}", self.namespace);
            let list = self.server.get(&at).expect("a list");
            for object in list["items"].as_array().into_iter().flatten() {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                all.insert(format!("{plural}/{name}"), essence(object.clone()));
            }
        }
        let text = json!(all).to_string().replace(&self.namespace, "NAMESPACE");
        serde_json::from_str(&text).expect("JSON")
    }

    /// So that the API server does not carry all runs.
    pub(crate) fn clear(self) {
        drop(self.proxies);
        for (root, plural) in KINDS {
            let _ = self.server.delete(&format!("{root}/namespaces/{}/{plural}", self.namespace));
        }
        self.runtime.shutdown_background();
    }
}

/// A running controller.
pub(crate) struct Running(tokio::task::AbortHandle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs a controller, whose requests are those of `process`, and which takes reports where `receiver` then leads.
pub(crate) fn serve(
    runtime: &Runtime,
    kubeconfig: &Path,
    process: &Arc<Process>,
    receiver: &Receiver,
) -> Running {
    let (kubeconfig, process) = (kubeconfig.to_owned(), Arc::clone(process));
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
    receiver.moves_to(listener.local_addr().expect("its address"));
    let task = runtime.spawn(async move {
        let client = client(&kubeconfig, &process).await;
        let shared = Shared::default();
        let _server = shared.receive(listener, Peers::Unknown).expect("it receives");
        loop {
            let never = std::future::pending();
            tokio::select! {
                outcome = run_alone(client.clone(), hasty(), &shared, never) => {
                    // Kubernetes starts it again where its first request fails.
                    if outcome.is_ok() { break }
                    tokio::time::sleep(RESTART).await;
                }
                () = process.death() => break,
            }
        }
    });
    Running(task.abort_handle())
}

/// Filters report more often, so that two periods are over sooner.
fn hasty() -> Options {
    let mut options = options();
    options.installation.receiver.period_ms = 200;
    options
}

async fn client(kubeconfig: &Path, process: &Arc<Process>) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let builder = ClientBuilder::try_from(config.expect("a configuration")).expect("a client");
    builder.with_layer(&Faults(Arc::clone(process))).build()
}

fn apex() -> Value {
    json!({ "spec": {
        "selector": { "app": "shop" }, "ports": [{ "name": "web", "port": 80, "targetPort": 9898 }],
    } })
}

fn routes() -> Value {
    json!({ "spec": {
        "hosts": ["store"], "http": [{ "route": [{ "destination": { "host": "store" } }] }],
    } })
}

fn essence(mut object: Value) -> Value {
    let kept = ["name", "labels", "annotations", "finalizers", "ownerReferences"];
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|key, _| kept.contains(&key.as_str()));
    }
    if object["spec"].get("clusterIP").is_some_and(|it| it != "None") {
        object["spec"]["clusterIP"] = Value::Null;
        object["spec"]["clusterIPs"] = Value::Null;
    }
    if let Some(run) = object.pointer_mut("/status/serin/rollout/run") {
        blank_run(run);
    }
    blank(&mut object);
    object
}

/// How much was counted when a release ended, and how often it was looked at, is a matter of time. How far its weight
/// was lowered in quarantine follows from what was counted by then.
fn blank_run(run: &mut Value) {
    if let Some(verdict) = run["verdict"].as_object_mut() {
        verdict.retain(|key, _| ["action", "state", "reason"].contains(&key.as_str()));
    }
    let failed = run["verdict"]["state"] == "Fail";
    let Some(run) = run.as_object_mut() else { return };
    run.retain(|key, _| !["round", "roundResult"].contains(&key.as_str()));
    if failed {
        run.remove("generation");
    }
}

/// Ids and times, wherever they are.
fn blank(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if ["uid", "id", "salt", "nonce", "token"].contains(&key.as_str()) {
                    *value = "ID".into();
                }
                blank(value);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(blank),
        Value::String(text) if text.parse::<jiff::Timestamp>().is_ok() => *text = "TIME".into(),
        _ => {}
    }
}

/// What of two snapshots is not the same.
pub(crate) fn difference(is: &Value, wanted: &Value) -> String {
    let (Value::Object(one), Value::Object(other)) = (is, wanted) else {
        return format!("{is} and not {wanted}");
    };
    let keys: BTreeSet<_> = one.keys().chain(other.keys()).collect();
    let parts = keys.into_iter().filter(|key| is[*key] != wanted[*key]);
    let told = parts.map(|key| format!("{key}: {}", difference(&is[key], &wanted[key])));
    told.collect::<Vec<_>>().join("; ")
}
