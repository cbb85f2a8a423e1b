//! Whether what runs in pods is ready, judged by the pods themselves.
//!
//! A Deployment's status is what a controller last saw; after a part of the node was killed it may be of the time
//! before. So each pod's own readiness page is asked too.

use anyhow::{Result, bail};
use serde_json::Value;

use crate::{access::Access, http, netns, place::Place};

/// What is waited for, by namespace.
pub(super) const DEPLOYMENTS: [(&str, &str); 6] = [
    ("kube-system", "coredns"),
    ("kube-system", "metrics-server"),
    ("kube-system", "registry"),
    ("istio-system", "prometheus"),
    ("istio-system", "istiod"),
    ("istio-system", "istio-ingressgateway"),
];
/// Of these, what istioctl makes.
const ISTIO: usize = 4;
const METRICS_API: &str = "v1beta1.metrics.k8s.io";

/// The deployments that lack a pod, the pods that do not answer, and the metrics API when it does not.
pub(super) fn unready(access: &Access, place: &Place) -> Result<Vec<String>> {
    let found = items(access, "deployments")?;
    let mut waiting = all_lacking(&found);
    if waiting.is_empty() {
        waiting.extend(unanswering(&found, &items(access, "pods")?, place));
    }
    if waiting.is_empty() {
        let service = access.kubectl(["get", "apiservice", METRICS_API, "--output=json"])?;
        let service: Value = serde_json::from_str(&service)?;
        let available = condition(&service, "Available");
        if available["status"] != "True" {
            waiting.push(format!("apiservice {METRICS_API}: {}", text(&available["message"])));
        }
    }
    Ok(waiting)
}

/// A line for each pod of the cluster that is not ready.
pub(super) fn stuck_pods(access: &Access) -> Result<Vec<String>> {
    Ok(stuck(&items(access, "pods")?))
}

/// The same, and each deployment that lacks a pod.
pub(super) fn all_unready(access: &Access) -> Result<Vec<String>> {
    Ok([all_lacking(&items(access, "deployments")?), stuck_pods(access)?].concat())
}

/// The first of Istio's deployments that somebody has scaled to no pods; the others' manifests say how many they have.
pub(super) fn scaled_to_nothing(access: &Access) -> Result<Option<String>> {
    let found = items(access, "deployments")?;
    let empty = |(namespace, name): &&(&str, &str)| {
        deployment(&found, namespace, name).is_some_and(|it| it["spec"]["replicas"] == 0)
    };
    let first = DEPLOYMENTS[ISTIO..].iter().find(empty);
    Ok(first.map(|(namespace, name)| format!("deployment {namespace}/{name} has no pods")))
}

fn items(access: &Access, kind: &str) -> Result<Vec<Value>> {
    let list = access.kubectl(["get", kind, "--all-namespaces", "--output=json"])?;
    let mut list: Value = serde_json::from_str(&list)?;
    match list["items"].take() {
        Value::Array(items) => Ok(items),
        _ => bail!("`kubectl get {kind}` printed no list"),
    }
}

fn deployment<'o>(found: &'o [Value], namespace: &str, name: &str) -> Option<&'o Value> {
    let of =
        |it: &&Value| it["metadata"]["namespace"] == namespace && it["metadata"]["name"] == name;
    found.iter().find(of)
}

fn all_lacking(found: &[Value]) -> Vec<String> {
    let lacking = |(namespace, name): &(&str, &str)| lacking(found, namespace, name);
    DEPLOYMENTS.iter().filter_map(lacking).collect()
}

/// What a deployment waits for: nothing when all its pods are of its present template and available.
fn lacking(found: &[Value], namespace: &str, name: &str) -> Option<String> {
    let Some(deployment) = deployment(found, namespace, name) else {
        return Some(format!("deployment {namespace}/{name}: there is none yet"));
    };
    let (spec, status) = (&deployment["spec"], &deployment["status"]);
    let wanted = spec["replicas"].as_u64().unwrap_or(1);
    let available = status["availableReplicas"].as_u64().unwrap_or(0);
    let updated = status["updatedReplicas"].as_u64().unwrap_or(0);
    let current = status["observedGeneration"] == deployment["metadata"]["generation"];
    let ready = current && wanted > 0 && available >= wanted && updated >= wanted;
    (!ready)
        .then(|| format!("deployment {namespace}/{name}: {available} of {wanted} pods available"))
}

/// A line for each pod of our deployments that says it is ready and does not answer so, or that is gone.
fn unanswering(found: &[Value], pods: &[Value], place: &Place) -> Vec<String> {
    let mut lines = Vec::new();
    for (namespace, name) in DEPLOYMENTS {
        let Some(deployment) = deployment(found, namespace, name) else { continue };
        let own: Vec<&Value> = pods.iter().filter(|pod| belongs(pod, deployment)).collect();
        if own.is_empty() {
            lines.push(format!("deployment {namespace}/{name}: its pods are gone"));
        }
        for pod in own {
            let silent = page(pod).filter(|url| !answers(place, url));
            lines.extend(silent.map(|url| {
                format!("pod {namespace}/{} to answer at {url}", text(&pod["metadata"]["name"]))
            }));
        }
    }
    lines
}

/// Whether a pod carries the labels by which the deployment chooses, and is not on its way out.
fn belongs(pod: &Value, deployment: &Value) -> bool {
    let labels = &pod["metadata"]["labels"];
    let wanted = deployment["spec"]["selector"]["matchLabels"].as_object();
    pod["metadata"]["namespace"] == deployment["metadata"]["namespace"]
        && pod["metadata"]["deletionTimestamp"].is_null()
        && wanted.is_some_and(|all| all.iter().all(|(name, value)| labels[name] == *value))
}

/// Where the first container with a readiness page has it.
fn page(pod: &Value) -> Option<String> {
    let containers = pod["spec"]["containers"].as_array()?;
    let (container, probe) = containers.iter().find_map(|it| {
        let probe = &it["readinessProbe"]["httpGet"];
        probe.is_object().then_some((it, probe))
    })?;
    let port = probe["port"].as_u64().or_else(|| {
        let ports = container["ports"].as_array()?;
        ports.iter().find(|it| it["name"] == probe["port"])?["containerPort"].as_u64()
    })?;
    let scheme = text(&probe["scheme"]).to_lowercase();
    let address = pod["status"]["podIP"].as_str()?;
    Some(format!("{scheme}://{address}:{port}{}", text(&probe["path"])))
}

fn answers(place: &Place, url: &str) -> bool {
    netns::within(place, || Ok(http::healthy(url))).unwrap_or(false)
}

/// A line for each pod that is not ready: which container waits, and for what.
fn stuck(pods: &[Value]) -> Vec<String> {
    let ready = |pod: &&Value| {
        condition(pod, "Ready")["status"] == "True" || pod["status"]["phase"] == "Succeeded"
    };
    let line = |pod: &Value| {
        let metadata = &pod["metadata"];
        let name = format!("pod {}/{}", text(&metadata["namespace"]), text(&metadata["name"]));
        let status = &pod["status"];
        let kinds = ["initContainerStatuses", "containerStatuses"];
        let containers = kinds.iter().filter_map(|kind| status[kind].as_array()).flatten();
        let reasons: Vec<String> = containers.filter_map(reason).collect();
        if reasons.is_empty() {
            let message = &condition(pod, "PodScheduled")["message"];
            format!("{name}: {} {}", text(&status["phase"]), text(message))
        } else {
            format!("{name}: {}", reasons.join(", "))
        }
    };
    pods.iter().filter(|pod| !ready(pod)).map(line).collect()
}

/// Why a container is not ready, when it is not.
fn reason(container: &Value) -> Option<String> {
    let finished = container["state"]["terminated"]["exitCode"] == 0;
    if container["ready"] == true || finished {
        return None;
    }
    let state = ["waiting", "terminated"].map(|it| &container["state"][it]);
    let why = state.iter().find(|it| it.is_object()).map_or_else(
        || "runs, but is not ready".to_owned(),
        |it| format!("{} {}", text(&it["reason"]), text(&it["message"])).trim().to_owned(),
    );
    Some(format!("{} {why}", text(&container["name"])))
}

fn condition<'o>(object: &'o Value, kind: &str) -> &'o Value {
    let conditions = object["status"]["conditions"].as_array();
    conditions.and_then(|all| all.iter().find(|it| it["type"] == kind)).unwrap_or(&Value::Null)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shop(available: u64, generation: u64) -> Value {
        json!({
            "metadata": { "namespace": "web", "name": "shop", "generation": 3 },
            "spec": { "replicas": 2 },
            "status": {
                "availableReplicas": available, "updatedReplicas": 2, "observedGeneration": generation,
            },
        })
    }

    #[test]
    fn a_deployment_is_ready_when_all_its_present_pods_are() {
        assert_eq!(lacking(&[shop(2, 3)], "web", "shop"), None);
        let lacks_one = lacking(&[shop(1, 3)], "web", "shop").expect("not ready");
        assert_eq!(lacks_one, "deployment web/shop: 1 of 2 pods available");
        assert!(lacking(&[shop(2, 2)], "web", "shop").is_some(), "an older generation's");
        assert!(lacking(&[shop(2, 3)], "web", "other").is_some(), "no such deployment");
    }

    #[test]
    fn a_stuck_pod_says_which_container_waits_and_for_what() {
        let pod = |status: Value| json!({ "metadata": { "namespace": "web", "name": "shop-1" }, "status": status });
        let pulling = pod(json!({
            "phase": "Pending",
            "containerStatuses": [
                { "name": "app", "ready": false,
                  "state": { "waiting": { "reason": "ErrImagePull", "message": "no such host" } } },
                { "name": "proxy", "ready": true, "state": { "running": {} } },
            ],
        }));
        let unscheduled = pod(json!({
            "phase": "Pending",
            "conditions": [{ "type": "PodScheduled", "status": "False", "message": "no node" }],
        }));
        let ready = pod(json!({ "conditions": [{ "type": "Ready", "status": "True" }] }));
        assert_eq!(
            stuck(&[pulling, unscheduled, ready]),
            ["pod web/shop-1: app ErrImagePull no such host", "pod web/shop-1: Pending no node"]
        );
    }

    #[test]
    fn a_deployment_without_pods_is_not_ready() {
        let mut none = shop(0, 3);
        none["spec"]["replicas"] = json!(0);
        none["status"] = json!({"observedGeneration": 3});
        assert!(lacking(&[none], "web", "shop").is_some());
    }

    #[test]
    fn a_pods_page_is_found_by_the_name_of_its_port() {
        let pod = json!({
            "spec": {"containers": [{"name": "helper"}, {
                "ports": [{"name": "web", "containerPort": 80}, {"name": "ops", "containerPort": 81}],
                "readinessProbe": {"httpGet": {"path": "/ok", "port": "ops", "scheme": "HTTPS"}},
            }]},
            "status": {"podIP": "10.0.0.9"},
        });
        assert_eq!(page(&pod).as_deref(), Some("https://10.0.0.9:81/ok"));
        assert_eq!(page(&json!({"spec": {"containers": [{}]}})), None);
    }

    #[test]
    fn a_pod_belongs_by_all_labels_until_it_is_deleted() {
        let deployment = json!({
            "metadata": {"namespace": "web"},
            "spec": {"selector": {"matchLabels": {"app": "shop", "tier": "front"}}},
        });
        let mut pod = json!({
            "metadata": {"namespace": "web", "labels": {"app": "shop", "tier": "front", "x": "y"}},
        });
        assert!(belongs(&pod, &deployment));
        pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert!(!belongs(&pod, &deployment));
        assert!(!belongs(&json!({"metadata": {"namespace": "web"}}), &deployment));
    }
}
