//! What a person asks of a cluster: does it work, and how do I reach it.

use std::{fmt::Write as _, thread};

use anyhow::Result;
use serde_json::Value;

use super::{Cluster, state::State};
use crate::{
    forward::TARGETS,
    http::Api,
    mesh,
    part::Kind,
    pki::Pki,
    place::{NODE_ADDRESS, Place},
    process,
    say::Waiting,
};

/// What a person reads, and what a script wants to know.
pub struct Status {
    pub table: String,
    /// What is to be there and is not ready.
    pub missing: Vec<String>,
}

/// One line for each program, and one for each deployment in the cluster. All are asked at once: what does not answer
/// is waited for, but not one after another.
pub(super) fn of(cluster: &Cluster) -> Result<Status> {
    let (state, place) = (cluster.state()?, &cluster.place);
    let _waiting = Waiting::begin("asking all parts whether they are ready");
    let (programs, pods) = thread::scope(|scope| {
        let ask = |kind: Kind| {
            let process = process::recorded(place, kind.name());
            (kind, process, process.is_some() && kind.ready(place, state.ports[0]))
        };
        let asked = Kind::ALL.map(|kind| scope.spawn(move || ask(kind)));
        let pods = deployments(place, &state);
        (asked.map(|it| it.join().ok()), pods)
    });
    let mut status = Status { table: line("PART", "PID", "READY"), missing: Vec::new() };
    for (kind, process, ready) in programs.into_iter().flatten() {
        let pid = process.map_or("-".to_owned(), |it| it.pid.to_string());
        status.enter(kind.name(), &pid, if ready { "yes" } else { "no" }, ready);
    }
    match pods {
        Ok(list) => status.enter_pods(&list, state.is_mesh),
        Err(error) => {
            writeln!(status.table, "(what runs in pods is not known: {error:#})")?;
            status.missing.push("what runs in pods".to_owned());
        }
    }
    Ok(status)
}

impl Status {
    fn enter(&mut self, part: &str, pid: &str, ready: &str, is_well: bool) {
        self.table += &line(part, pid, ready);
        if !is_well {
            self.missing.push(part.to_owned());
        }
    }

    /// Everybody's are shown; only the cluster's own are to be ready, and to be there.
    fn enter_pods(&mut self, list: &Value, is_mesh: bool) {
        let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let own: Vec<String> = mesh::deployments().collect();
        let mut absent: Vec<&String> = own.iter().filter(|_| is_mesh).collect();
        for item in items {
            let text = |path: &str| item.pointer(path).and_then(Value::as_str).unwrap_or_default();
            let count = |path: &str| item.pointer(path).and_then(Value::as_u64).unwrap_or_default();
            let path = format!("{}/{}", text("/metadata/namespace"), text("/metadata/name"));
            let (ready, wanted) = (count("/status/readyReplicas"), count("/spec/replicas"));
            let is_well = !own.contains(&path) || (ready >= wanted && wanted > 0);
            self.enter(&path, "pods", &format!("{ready}/{wanted}"), is_well);
            absent.retain(|it| **it != path);
        }
        for path in absent {
            self.enter(path, "pods", "none", false);
        }
    }
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

fn deployments(place: &Place, state: &State) -> Result<Value> {
    let pki = Pki::in_directory(&place.run().join("pki"))?;
    let api = Api::new(&pki, &format!("https://127.0.0.1:{}", state.ports[0]))?;
    api.get("/apis/apps/v1/deployments")
}

fn line(part: &str, pid: &str, ready: &str) -> String {
    format!("{part:<44} {pid:<8} {ready}\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn missing(items: &Value, is_mesh: bool) -> Vec<String> {
        let mut status = Status { table: String::new(), missing: Vec::new() };
        status.enter_pods(&json!({ "items": items }), is_mesh);
        status.missing
    }

    fn deployment(namespace: &str, name: &str, ready: u64, wanted: u64) -> Value {
        json!({
            "metadata": {"namespace": namespace, "name": name},
            "spec": {"replicas": wanted},
            "status": {"readyReplicas": ready},
        })
    }

    #[test]
    fn only_the_clusters_own_deployments_are_missed() {
        let theirs = deployment("shop", "shop", 0, 2);
        assert_eq!(missing(&json!([theirs]), false), Vec::<String>::new());
        let all = mesh::deployments().count();
        assert_eq!(missing(&json!([theirs]), true).len(), all, "none of ours is there");
        let scaled = deployment("kube-system", "coredns", 0, 0);
        assert_eq!(missing(&json!([scaled]), false), ["kube-system/coredns"]);
        let ready = deployment("kube-system", "coredns", 1, 1);
        assert_eq!(missing(&json!([ready]), true).len(), all - 1);
    }
}
