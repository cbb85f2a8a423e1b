//! What runs in the cluster's pods: DNS, the metrics API, the registry, Prometheus, and Istio with its ingress gateway.
//!
//! A second installation of the same is told by a mark in the cluster and does nothing.

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::{
    access::Access,
    cache,
    programs::{self, ISTIO},
    say,
};

const COREDNS: &str = include_str!("../manifests/coredns.yaml");
const METRICS_SERVER: &str = include_str!("../manifests/metrics-server.yaml");
const REGISTRY: &str = include_str!("../manifests/registry.yaml");
const PROMETHEUS: &str = include_str!("../manifests/prometheus.yaml");
const ISTIO_OPERATOR: &str = include_str!("../manifests/istio.yaml");

/// What is waited for, by namespace.
const DEPLOYMENTS: [(&str, &str); 6] = [
    ("kube-system", "coredns"),
    ("kube-system", "metrics-server"),
    ("kube-system", "registry"),
    ("istio-system", "prometheus"),
    ("istio-system", "istiod"),
    ("istio-system", "istio-ingressgateway"),
];
const METRICS_API: &str = "v1beta1.metrics.k8s.io";
const READY_WITHIN: Duration = Duration::from_mins(3);
const ASKED_EVERY: Duration = Duration::from_millis(500);

/// Installs it, or brings it up to date.
pub fn install(access: &Access) -> Result<()> {
    let manifests = [COREDNS, METRICS_SERVER, REGISTRY, PROMETHEUS, ISTIO_OPERATOR];
    let wanted = cache::key(&[manifests.as_slice(), &[ISTIO]].concat());
    if mark(access)? == wanted {
        return Ok(());
    }
    say::part("applying DNS, the metrics API, the registry and Prometheus", || {
        // DNS in front: istiod's gateway waits for a name.
        access.apply(COREDNS)?;
        access.apply(&[METRICS_SERVER, REGISTRY, PROMETHEUS].join("\n---\n"))
    })?;
    say::part(&format!("installing Istio {ISTIO}"), || istioctl(access))?;
    set_mark(access, &wanted)
}

/// What istioctl would install, as YAML: a stream of objects, the definitions of Istio's kinds among them. For an API
/// server that has no pods, so nothing of it runs.
pub fn manifests() -> Result<String> {
    let mut command = Command::new(programs::mesh()?.istioctl);
    let file = operator()?;
    command.args(["manifest", "generate", "--filename"]).arg(file.path());
    let output = command.output().context("istioctl could not be started")?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("`istioctl manifest generate` ended with {}: {}", output.status, error.trim());
    }
    String::from_utf8(output.stdout).context("`istioctl manifest generate` printed no text")
}

/// Waits until all of it is ready; says what is not when that takes too long.
pub fn wait(access: &Access) -> Result<()> {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        let waiting = unready(access)?;
        if waiting.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            let lines = [waiting, stuck(&items(access, "pods")?)].concat().join("\n  ");
            bail!("not ready after {} s:\n  {lines}", READY_WITHIN.as_secs());
        }
        thread::sleep(ASKED_EVERY);
    }
}

/// istioctl carries the charts, and waits for istiod before it goes on to the gateway.
fn istioctl(access: &Access) -> Result<()> {
    let programs = programs::mesh()?;
    let file = operator()?;
    let mut command = Command::new(programs.istioctl);
    command.args(["install", "--skip-confirmation", "--filename"]).arg(file.path());
    let output = command
        .env("KUBECONFIG", &access.kubeconfig)
        .output()
        .context("istioctl could not be started")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        let error = String::from_utf8_lossy(&output.stderr);
        let pods = stuck(&items(access, "pods")?).join("\n  ");
        bail!("istioctl ended with {}: {}{}\n  {pods}", output.status, said.trim(), error.trim());
    }
    Ok(())
}

/// What istioctl is to install; the file lives as long as the value.
fn operator() -> Result<NamedTempFile> {
    let file = tempfile::Builder::new().prefix("istio-").suffix(".yaml").tempfile()?;
    std::fs::write(file.path(), ISTIO_OPERATOR)?;
    Ok(file)
}

/// The mark of what was installed to the end; empty before.
fn mark(access: &Access) -> Result<String> {
    let words = ["get", "configmap", "serin-cluster", "--namespace=kube-system"];
    let more = ["--ignore-not-found", "--output=jsonpath={.data.installed}"];
    access.kubectl(words.into_iter().chain(more))
}

fn set_mark(access: &Access, installed: &str) -> Result<()> {
    let mark = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": "serin-cluster", "namespace": "kube-system" },
        "data": { "installed": installed },
    });
    access.apply(&mark.to_string())
}

/// The deployments that lack a pod, and the metrics API when it does not answer.
fn unready(access: &Access) -> Result<Vec<String>> {
    let found = items(access, "deployments")?;
    let mut waiting: Vec<String> = DEPLOYMENTS
        .iter()
        .filter_map(|(namespace, name)| lacking(&found, namespace, name))
        .collect();
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

fn items(access: &Access, kind: &str) -> Result<Vec<Value>> {
    let list = access.kubectl(["get", kind, "--all-namespaces", "--output=json"])?;
    let mut list: Value = serde_json::from_str(&list)?;
    match list["items"].take() {
        Value::Array(items) => Ok(items),
        _ => bail!("`kubectl get {kind}` printed no list"),
    }
}

/// What a deployment waits for: nothing when all its pods are of its present template and available.
fn lacking(found: &[Value], namespace: &str, name: &str) -> Option<String> {
    let of =
        |it: &&Value| it["metadata"]["namespace"] == namespace && it["metadata"]["name"] == name;
    let Some(deployment) = found.iter().find(of) else {
        return Some(format!("deployment {namespace}/{name}: there is none yet"));
    };
    let (spec, status) = (&deployment["spec"], &deployment["status"]);
    let wanted = spec["replicas"].as_u64().unwrap_or(1);
    let available = status["availableReplicas"].as_u64().unwrap_or(0);
    let updated = status["updatedReplicas"].as_u64().unwrap_or(0);
    let current = status["observedGeneration"] == deployment["metadata"]["generation"];
    let ready = current && available >= wanted && updated >= wanted;
    (!ready)
        .then(|| format!("deployment {namespace}/{name}: {available} of {wanted} pods available"))
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
mod tests;
