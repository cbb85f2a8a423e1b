//! What a person asks of a cluster: does it work, and how do I reach it.

use std::{fmt::Write as _, path::Path};

use anyhow::Result;
use serde_json::Value;

use super::{Cluster, state::State};
use crate::{
    forward::TARGETS,
    http::Api,
    part::Kind,
    pki::Pki,
    place::{NODE_ADDRESS, Place},
    process,
};

/// One line for each program, and one for each deployment in the cluster.
pub(super) fn table(cluster: &Cluster) -> Result<String> {
    let state = cluster.state()?;
    let mut table = line("PART", "PID", "READY");
    for kind in Kind::ALL {
        let process = process::recorded(&cluster.place, kind.name());
        let ready = process.is_some() && kind.ready(&cluster.place, state.ports[0]);
        let pid = process.map_or("-".to_owned(), |it| it.pid.to_string());
        table += &line(kind.name(), &pid, if ready { "yes" } else { "no" });
    }
    match deployments(&cluster.place, &state) {
        Ok(lines) => table += &lines,
        Err(_) => table += "(the API server does not say what runs in pods)\n",
    }
    Ok(table)
}

/// `export` lines, and comments that say how to enter and what is where.
pub(super) fn env(cluster: &Cluster) -> Result<String> {
    let state = cluster.state()?;
    let place = &cluster.place;
    let mut text = String::new();
    let mut export = |name: &str, value: String| writeln!(text, "export {name}={value}");
    export("KUBECONFIG", place.kubeconfig().display().to_string())?;
    for ((name, _), port) in TARGETS.iter().zip(state.ports).skip(1) {
        export(&format!("SERIN_{}", name.to_uppercase()), format!("127.0.0.1:{port}"))?;
    }
    let kubectl = cluster.access()?.kubectl;
    let directory = kubectl.parent().unwrap_or(&kubectl);
    writeln!(text, "export PATH=\"$PATH:{}\"", directory.display())?;
    writeln!(text, "# a shell inside: nsenter --net={} bash", place.namespace().display())?;
    for ((name, inside), port) in TARGETS.iter().zip(state.ports) {
        writeln!(text, "# 127.0.0.1:{port} is {name}, inside {NODE_ADDRESS}:{inside}")?;
    }
    Ok(text)
}

fn deployments(place: &Place, state: &State) -> Result<String> {
    let pki = Pki::in_directory(&place.run().join("pki"))?;
    let api = Api::new(&pki, &format!("https://127.0.0.1:{}", state.ports[0]))?;
    let list = api.get("/apis/apps/v1/deployments")?;
    let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(items.iter().map(deployment).collect())
}

fn deployment(item: &Value) -> String {
    let text = |path: &str| item.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let count = |path: &str| item.pointer(path).and_then(Value::as_u64).unwrap_or_default();
    let path = Path::new(text("/metadata/namespace")).join(text("/metadata/name"));
    let (ready, wanted) = (count("/status/readyReplicas"), count("/spec/replicas"));
    line(&path.display().to_string(), "pods", &format!("{ready}/{wanted}"))
}

fn line(part: &str, pid: &str, ready: &str) -> String {
    format!("{part:<44} {pid:<8} {ready}\n")
}
