//! Two hundred Canaries in one namespace: what they cost while nothing happens, and how soon one is seen to change.

use std::{
    fs,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use serin_cluster::{apiserver::ApiServer, say};
use serin_e2e_apiserver::{namespace, path, with_istio};
use tokio::runtime::Runtime;

use crate::faults::{Fate, Process};
use crate::proxies::Receiver;
use crate::scenario::serve;
use crate::scripted::{alone, run_pods};

const NAMESPACE: &str = "many";
const CANARIES: usize = 200;
const PATIENCE: Duration = Duration::from_mins(10);
/// Nothing at all is asked for so long.
const IDLE: Duration = Duration::from_secs(10);
/// The initialization's last events have been seen by then.
const CALM: Duration = Duration::from_secs(5);

#[test]
fn idle_canaries_ask_nothing_and_a_new_revision_among_them_is_seen() {
    let server = Arc::new(with_istio().expect("an API server with Istio's definitions"));
    alone(&server);
    namespace(&server, NAMESPACE).expect("a namespace");
    for index in 0..CANARIES {
        make(&server, &deployment(index, "1"));
        make(&server, &canary(index));
    }
    let before = resident();
    let process = Process::new(NAMESPACE, |_| Fate::Passes);
    process.arm();
    let runtime = Runtime::new().expect("a runtime");
    let controller = serve(&runtime, server.kubeconfig(), &process, &Receiver::default());
    let begun = Instant::now();
    while phases(&server, "Initialized") < CANARIES {
        assert!(begun.elapsed() < PATIENCE, "{} are initialized", phases(&server, "Initialized"));
        run_pods(&server, NAMESPACE);
    }
    let took = begun.elapsed().as_secs_f64();
    let (reads, writes) = (process.reads() / CANARIES, process.writes() / CANARIES);
    say::note(&format!(
        "{CANARIES} initialized in {took:.1} s: {reads} reads, {writes} writes each"
    ));
    // The last are scaled down yet, and what a script says of that is an event.
    calm(&server, || process.reads() + process.writes());

    let asked = (process.reads(), process.writes());
    thread::sleep(IDLE);
    assert_eq!((process.reads(), process.writes()), asked, "{:#?}", process.lines().last());

    let changed = Instant::now();
    make(&server, &deployment(17, "2"));
    let it = path(&canary(17)).expect("a path");
    while server.get(&it).expect("it is there")["status"]["phase"] != "Progressing" {
        assert!(changed.elapsed() < PATIENCE, "it is not seen");
        thread::sleep(Duration::from_millis(5));
    }
    let (seen, grown) = (changed.elapsed().as_millis(), resident().saturating_sub(before));
    say::note(&format!("a new revision is seen after {seen} ms; {grown} KiB for {CANARIES}"));
    // It is looked at each second while it runs; of the cluster nothing is read again but itself.
    calm(&server, || process.writes());
    let asked = (process.reads(), process.writes());
    thread::sleep(IDLE);
    let (reads, writes) = (process.reads() - asked.0, process.writes() - asked.1);
    say::note(&format!("a running Canary takes {reads} reads, {writes} writes in {IDLE:?}"));
    assert!(writes == 0 && reads > 0 && reads < 15, "{:#?}", process.lines().last());
    drop(controller);
    runtime.shutdown_background();
}

/// Waits until this has not changed for a while; pods do what they are told meanwhile.
fn calm(server: &ApiServer, counted: impl Fn() -> usize) {
    let deadline = Instant::now() + PATIENCE;
    let mut last = (counted(), Instant::now());
    while last.1.elapsed() < CALM {
        run_pods(server, NAMESPACE);
        thread::sleep(Duration::from_millis(100));
        if counted() != last.0 {
            last = (counted(), Instant::now());
        }
        assert!(Instant::now() < deadline, "it never rests");
    }
}

fn make(server: &ApiServer, object: &Value) {
    let made = server.apply(&path(object).expect("a path"), "author", object);
    made.unwrap_or_else(|error| panic!("{error:#}"));
}

fn phases(server: &ApiServer, phase: &str) -> usize {
    let all = format!("/apis/serin.dev/v1beta1/namespaces/{NAMESPACE}/canaries");
    // A busy machine may not answer in time; whoever waits for a number asks again.
    let Ok(list) = server.get(&all) else { return 0 };
    let items = list["items"].as_array().into_iter().flatten();
    items.filter(|it| it["status"]["phase"] == phase).count()
}

fn deployment(index: usize, tag: &str) -> Value {
    let name = format!("app-{index:03}");
    let labels = json!({ "app": name });
    let container = json!({ "name": "app", "image": format!("registry.example/app:{tag}") });
    let template =
        json!({ "metadata": { "labels": labels }, "spec": { "containers": [container] } });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": name, "namespace": NAMESPACE },
        "spec": { "selector": { "matchLabels": labels }, "template": template },
    })
}

fn canary(index: usize) -> Value {
    let name = format!("app-{index:03}");
    json!({
        "apiVersion": "serin.dev/v1beta1", "kind": "Canary",
        "metadata": { "name": name, "namespace": NAMESPACE },
        "spec": {
            "targetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": name },
            "service": { "port": 80 },
            "analysis": { "interval": "5m", "threshold": 2, "stepWeight": 10, "maxWeight": 50 },
        },
    })
}

/// KiB of this process' memory, in which the controller runs.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|it| it.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
