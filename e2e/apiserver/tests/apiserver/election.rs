//! Several controllers and one Lease: one acts, and whatever becomes of it, the next one does.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use serin_cluster::apiserver::ApiServer;
use serin_e2e_apiserver::{PATIENCE, eventually, namespace};

use crate::controller::{QUIET, at, until_phase, world};
use crate::pods::Pods;
use crate::program::Program;

/// Where the controllers are.
const HOME: &str = "serin-system";
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/serin-system/leases/serin";

/// An unrenewed lease's end: not before its duration less the time between two renewals.
const RUNS_OUT: Duration = Duration::from_secs(13);

/// A controller in a pod of its own.
fn controller(server: &ApiServer, pod: &str) -> Program {
    let container = json!({ "name": "controller", "image": "registry.example/serin:1" });
    let object = json!({ "metadata": { "name": pod }, "spec": { "containers": [container] } });
    // Not before its namespace has a service account.
    let pods = format!("/api/v1/namespaces/{HOME}/pods");
    eventually("a pod", || server.post(&pods, &object).is_ok()).expect("it is made");
    Program::start(server.kubeconfig(), HOME, pod, &[])
}

fn holder(server: &ApiServer) -> Option<String> {
    let lease = server.get(LEASE).ok()?;
    lease["spec"]["holderIdentity"].as_str().map(str::to_owned)
}

/// Waits until this one leads and its pod says so; how long that took.
fn until_leads(server: &ApiServer, pod: &str) -> f64 {
    let began = Instant::now();
    let leads = || holder(server).as_deref() == Some(pod);
    eventually(&format!("{pod} to hold the lease"), leads).expect("it does");
    let seconds = began.elapsed().as_secs_f64();
    eventually(&format!("{pod} to be labelled"), || badge(server, pod) == "true").expect("it is");
    seconds
}

fn badge(server: &ApiServer, pod: &str) -> Value {
    let pod = server.get(&format!("/api/v1/namespaces/{HOME}/pods/{pod}")).expect("the pod");
    pod["metadata"]["labels"]["serin.dev/leader"].clone()
}

/// What it has written, but for the Lease and its own pod.
fn writes(program: &Program) -> Vec<String> {
    let (_, metrics) = program.get("/metrics");
    let lines = metrics.lines().filter(|line| line.starts_with("serin_api_requests_total{"));
    let reads = ["get", "list", "watch"].map(|verb| format!("verb=\"{verb}\""));
    let own = ["leases", "pods"].map(|resource| format!("resource=\"{resource}\""));
    let tame = |line: &&str| reads.iter().chain(&own).any(|part| line.contains(part));
    lines.filter(|line| !tame(line)).map(str::to_owned).collect()
}

fn service() -> String {
    at("v1", "Service", "store")
}

fn until_restored(server: &ApiServer) {
    eventually("the service to come back", || server.get(&service()).is_ok()).expect("it does");
}

/// Somebody acts.
fn assert_served(server: &ApiServer) {
    server.delete(&service()).expect("deleted");
    until_restored(server);
}

#[test]
fn when_the_leader_dies_or_stops_the_next_one_goes_on() {
    let server = world();
    namespace(&server, HOME).expect("a namespace");
    let _pods = Pods::ready_in(&server, "prod");
    let mut first = controller(&server, "first");
    until_leads(&server, "first");
    until_phase(&server, "Initialized");
    let mut second = controller(&server, "second");
    second.until_logged("standing by");
    assert_served(&server);
    assert_eq!(holder(&server).as_deref(), Some("first"));
    assert!(writes(&first).iter().any(|it| it.contains(r#"resource="canaries/status""#)));
    assert_eq!(writes(&second), Vec::<String>::new());
    for program in [&first, &second] {
        assert_eq!(program.get("/readyz"), (200, "ok\n".to_owned()));
    }
    let leader = "serin_leader";
    assert_eq!((first.series(leader), second.series(leader)), (Some(1.0), Some(0.0)));

    first.kill();
    let seconds = until_leads(&server, "second");
    eprintln!("the leader was killed: the next one led after {seconds:.1} s");
    assert_served(&server);

    let third = controller(&server, "third");
    third.until_logged("standing by");
    assert_eq!(badge(&server, "third"), Value::Null);
    let asked = Instant::now();
    let (status, took) = second.stop();
    until_leads(&server, "third");
    assert!(asked.elapsed() < RUNS_OUT / 2, "the lease was not given up");
    let (took, all) = (took.as_secs_f64(), asked.elapsed().as_secs_f64());
    eprintln!(
        "the leader was stopped: it ended after {took:.2} s, the next one led after {all:.2} s"
    );
    assert_eq!(status.code(), Some(0));
    assert_eq!(badge(&server, "second"), Value::Null);
    let lease = server.get(LEASE).expect("the lease");
    assert_eq!(lease["spec"]["leaseTransitions"], 2, "{lease:#}");
    assert_served(&server);
}

#[test]
fn who_loses_the_lease_writes_nothing_until_it_is_its_own_again() {
    let server = world();
    namespace(&server, HOME).expect("a namespace");
    let _pods = Pods::ready_in(&server, "prod");
    let only = controller(&server, "only");
    until_leads(&server, "only");
    until_phase(&server, "Initialized");
    until_restored(&server);

    let stolen = Instant::now();
    server.merge(LEASE, &json!({ "spec": { "holderIdentity": "thief" } })).expect("stolen");
    only.until_logged("another leads, or may");
    eprintln!("the lease was stolen: noticed after {:.2} s", stolen.elapsed().as_secs_f64());
    server.delete(&service()).expect("deleted");
    eventually("the label to go", || badge(&server, "only").is_null()).expect("it goes");
    thread::sleep(2 * QUIET);
    assert!(server.get(&service()).is_err(), "it writes although another leads");
    assert_eq!(holder(&server).as_deref(), Some("thief"));
    // The thief never renews it.
    until_leads(&server, "only");
    assert!(stolen.elapsed() < PATIENCE);
    until_restored(&server);

    let lost = || only.lines().iter().filter(|it| it.contains("another leads, or may")).count();
    assert_eq!(lost(), 1);
    server.delete(LEASE).expect("deleted");
    eventually("its end to be noticed", || lost() == 2).expect("it is");
    until_leads(&server, "only");
    assert_served(&server);
}
