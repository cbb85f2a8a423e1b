//! Deployments without their controller: their status says what a script wants, so that nothing but the controller
//! under test takes time or differs from run to run.

use std::process::Command;

use serde_json::{Value, json};
use serin_cluster::apiserver::ApiServer;

/// A tag of images that never come up.
pub const BAD: &str = "bad";

/// Stops the controller manager for as long as the API server lives: no rollouts, no garbage collection.
pub fn alone(server: &ApiServer) {
    let pids = server.pids();
    let manager = pids.last().expect("a controller manager");
    let stopped = Command::new("kill").args(["-STOP", &manager.to_string()]).status();
    assert!(stopped.expect("kill is there").success());
}

/// Says once what the pods of all Deployments of a namespace do: they are there, but for bad ones.
pub fn run_pods(server: &ApiServer, namespace: &str) {
    let all = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
    let list = server.get(&all).unwrap_or_default();
    for deployment in list["items"].as_array().into_iter().flatten() {
        let status = status(deployment);
        let (is, name) = (&deployment["status"], deployment["metadata"]["name"].as_str());
        let same = status.as_object().into_iter().flatten().all(|(key, value)| is[key] == *value);
        if let (Some(name), false) = (name, same) {
            // One that has gone meanwhile has no pods.
            let _ = server.merge(&format!("{all}/{name}/status"), &json!({ "status": status }));
        }
    }
}

fn status(deployment: &Value) -> Value {
    let (spec, generation) = (&deployment["spec"], &deployment["metadata"]["generation"]);
    let image = spec["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
    let replicas = &spec["replicas"];
    let fails = image.ends_with(BAD) && *replicas != 0;
    let available = if fails { json!(0) } else { replicas.clone() };
    let reason = if fails { "ProgressDeadlineExceeded" } else { "NewReplicaSetAvailable" };
    let progressing = json!({
        "type": "Progressing", "status": if fails { "False" } else { "True" }, "reason": reason,
        "message": "scripted", "lastUpdateTime": "2026-01-01T00:00:00Z",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    json!({
        "observedGeneration": generation, "replicas": replicas, "updatedReplicas": replicas,
        "readyReplicas": available, "availableReplicas": available, "conditions": [progressing],
    })
}
