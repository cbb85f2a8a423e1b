//! Up: from whatever is there to everything ready.

use std::{cell::Cell, fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::Value;

use super::{Cluster, Extent, state::State};
use crate::{
    cgroup, command,
    control_plane::{self, Layout, Network},
    forward,
    http::{self, Api},
    images, kubeconfig, leftovers, machine, mesh, netns, node,
    part::{self, Kind, PORTS, Part},
    pki::{self, Pki},
    place::{NODE, NODE_ADDRESS},
    process,
    programs::{self, ControlPlane, Node},
    say, store,
};

const NODE_READY_WITHIN: Duration = Duration::from_mins(1);
/// The node's heartbeat.
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node";

/// Everything that the parts are made of.
struct Plan<'c> {
    cluster: &'c Cluster,
    control: ControlPlane,
    node: Node,
    layout: Layout,
    state: State,
    /// Whether a part had ended, so that what the API server says may be of the time before.
    is_mended: Cell<bool>,
}

pub(super) fn up(cluster: &Cluster, extent: Extent, program: &Path) -> Result<()> {
    leftovers::kill_tools(&cluster.place);
    command::mark(&cluster.place);
    let (control, node) = (programs::control_plane()?, programs::node()?);
    let images = images::all()?;
    clear_remains(cluster)?;
    let plan = say::part("network, cgroup, keys", || prepare(cluster, extent, control, node))?;
    store::prepare(&plan.node, &cluster.place, &plan.state.store, &images)?;
    say::part("control plane and container runtime", || plan.start(&plan.first()?))?;
    store::catch_up(&plan.node, &cluster.place, &plan.state.store, &images)?;
    plan.forward(program)?;
    say::part("node", || plan.node_up())?;
    if extent == Extent::Mesh {
        load_apps(cluster)?;
        let access = cluster.access()?;
        mesh::install(&access)?;
        say::part("what runs in pods", || mesh::wait(&access, &cluster.place))?;
    }
    Ok(())
}

/// Gives the node the test apps that it does not have yet.
fn load_apps(cluster: &Cluster) -> Result<()> {
    let record = cluster.place.run().join("apps");
    let loaded = fs::read_to_string(&record).unwrap_or_default();
    let apps = images::apps()?;
    let archives: Vec<_> = apps.iter().map(|it| it.archive.display().to_string()).collect();
    for archive in archives.iter().filter(|it| !loaded.lines().any(|line| line == **it)) {
        cluster.load(Path::new(archive))?;
    }
    fs::write(&record, archives.join("\n")).context("what was loaded cannot be recorded")
}

/// A namespace that is gone or another one means that nothing of the old cluster can be used.
fn clear_remains(cluster: &Cluster) -> Result<()> {
    let now = netns::identity(&cluster.place);
    let usable = cluster.state().is_ok_and(|state| Some(state.namespace) == now);
    if usable || (now.is_none() && !cluster.place.run().exists()) {
        return Ok(());
    }
    say::part("removing what an unfinished cluster left", || super::down::down(cluster))
}

fn prepare(
    cluster: &Cluster,
    extent: Extent,
    control: ControlPlane,
    node: Node,
) -> Result<Plan<'_>> {
    let place = &cluster.place;
    fs::create_dir_all(place.run())
        .with_context(|| format!("{} cannot be made", place.run().display()))?;
    netns::make(place)?;
    cgroup::make(place)?;
    let pki = Pki::in_directory(&place.run().join("pki"))?;
    pki.check().with_context(|| format!("begin anew by `{}`", cluster.command("down")))?;
    let mut state = state(cluster, &node)?;
    state.is_mesh |= extent == Extent::Mesh;
    cluster.remember(&state)?;
    let data = place.run();
    let layout = Layout { pki, data, ports: PORTS, network: Network::Node(NODE_ADDRESS) };
    Ok(Plan { cluster, control, node, layout, state, is_mended: Cell::new(false) })
}

/// What the cluster remembers, with ports that nobody took while nobody listened at them.
fn state(cluster: &Cluster, node: &Node) -> Result<State> {
    let place = &cluster.place;
    let (kubectl, ctr) = (node.kubectl.clone(), node.ctr.clone());
    let Ok(old) = cluster.state() else {
        return Ok(State {
            ports: forward::free_ports()?,
            namespace: netns::identity(place).context("the namespace is gone again")?,
            store: store::root(place)?,
            kubectl,
            ctr,
            is_mesh: false,
        });
    };
    let mut state = State { kubectl, ctr, ..old };
    let listens = process::recorded(place, Kind::Forward.name()).is_some();
    if !listens && !forward::are_free(&state.ports) {
        state.ports = forward::free_ports()?;
        let env = cluster.command("env");
        say::note(&format!("the ports of this cluster were taken; `{env}` prints the new ones"));
    }
    Ok(state)
}

impl Plan<'_> {
    fn start(&self, parts: &[Part]) -> Result<()> {
        let had_ended = part::up(&self.cluster.place, self.state.ports[0], parts)?;
        self.is_mended.set(self.is_mended.get() || had_ended);
        Ok(())
    }

    /// What the rest asks from its first moment on.
    fn first(&self) -> Result<Vec<Part>> {
        let place = &self.cluster.place;
        Ok(vec![
            part(Kind::Etcd, control_plane::etcd(&self.control, &self.layout)),
            part(Kind::Containerd, node::containerd(&self.node, place, &self.state.store)?),
            part(Kind::Apiserver, control_plane::apiserver(&self.control, &self.layout)),
        ])
    }

    fn node_up(&self) -> Result<()> {
        // Closed when the node is Ready, or never will be.
        let _window = machine::Window::open()?;
        let api = self.api()?;
        let path = format!("/api/v1/nodes/{NODE}");
        self.end_kubelet_without_node(api.has(&path)?);
        let node = || api.get(&path);
        // A kubelet that died left a node that still says Ready; only what it says from now on counts.
        let running = process::recorded(&self.cluster.place, Kind::Kubelet.name()).is_some();
        let since = if running { Timestamp::UNIX_EPOCH } else { Timestamp::now() };
        self.start(&self.second()?)?;
        // kube-proxy looks for its node's address once.
        let registered = || node().is_ok_and(|it| it["status"]["addresses"].is_array());
        self.wait_for("the node to be registered", registered)?;
        self.start(&self.third()?)?;
        let ready = || node().is_ok_and(|it| is_ready(&it, since));
        self.wait_for("the node to be Ready", ready)?;
        if self.is_mended.get() {
            let since = Timestamp::now();
            let beats = || api.get(LEASE).is_ok_and(|it| is_renewed(&it, since));
            self.wait_for("the node's heartbeat", beats)?;
        }
        Ok(())
    }

    /// A kubelet registers its node when it starts, and never again.
    fn end_kubelet_without_node(&self, has_node: bool) {
        let kubelet = process::recorded(&self.cluster.place, Kind::Kubelet.name());
        if let Some(kubelet) = kubelet.filter(|_| !has_node) {
            say::note("the node was deleted; ending the kubelet, which will register it anew");
            kubelet.end();
        }
    }

    fn wait_for(&self, what: &str, so: impl FnMut() -> bool) -> Result<()> {
        http::eventually(what, NODE_READY_WITHIN, so, || Ok(()))
            .with_context(|| process::tail(&self.cluster.place.log(Kind::Kubelet.name())))
    }

    fn second(&self) -> Result<Vec<Part>> {
        let place = &self.cluster.place;
        let pki = &self.layout.pki;
        let manager = node::inner(place, pki, pki::CONTROLLER_MANAGER)?;
        let scheduler = node::inner(place, pki, pki::SCHEDULER)?;
        Ok(vec![
            part(Kind::Kubelet, node::kubelet(&self.node, place, pki)?),
            part(
                Kind::ControllerManager,
                control_plane::controller_manager(&self.control, &self.layout, &manager),
            ),
            part(Kind::Scheduler, control_plane::scheduler(&self.node.kube_scheduler, &scheduler)),
        ])
    }

    fn third(&self) -> Result<Vec<Part>> {
        let command = node::kube_proxy(&self.node, &self.cluster.place, &self.layout.pki)?;
        Ok(vec![part(Kind::Proxy, command)])
    }

    /// Ports that were recorded stay, so that an environment stays good.
    fn forward(&self, program: &Path) -> Result<()> {
        let place = &self.cluster.place;
        let ports = self.state.ports;
        let mut command = Command::new(program);
        command.args(["--name", place.name(), "forward"]);
        command.args(ports.map(|port| port.to_string()));
        self.start(&[part(Kind::Forward, command)])?;
        let url = self.url();
        let path = place.kubeconfig();
        kubeconfig::write(&path, place.name(), &self.layout.pki, pki::ADMIN, &url).map(drop)
    }

    fn api(&self) -> Result<Api> {
        Api::new(&self.layout.pki, &self.url())
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.state.ports[0])
    }
}

fn part(kind: Kind, command: Command) -> Part {
    Part { kind, command }
}

/// Whether the kubelet said so at that moment or later; it counts whole seconds.
fn is_ready(node: &Value, since: Timestamp) -> bool {
    let fresh = |it: &Value| {
        let said = it["lastHeartbeatTime"].as_str().and_then(|time| time.parse().ok());
        said.is_some_and(|said: Timestamp| said.as_second() >= since.as_second())
    };
    let ready = |it: &Value| it["type"] == "Ready" && it["status"] == "True" && fresh(it);
    node["status"]["conditions"].as_array().is_some_and(|all| all.iter().any(ready))
}

/// Whether the kubelet has reached the API server since then.
fn is_renewed(lease: &Value, since: Timestamp) -> bool {
    let renewed = lease["spec"]["renewTime"].as_str().and_then(|time| time.parse().ok());
    renewed.is_some_and(|renewed: Timestamp| renewed >= since)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_that_was_ready_before_its_kubelet_died_is_not() {
        let condition = json!({
            "type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-01T00:00:10Z",
        });
        let node = json!({"status": {"conditions": [condition]}});
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        assert!(is_ready(&node, Timestamp::UNIX_EPOCH));
        assert!(is_ready(&node, at("2026-01-01T00:00:10.9Z")));
        assert!(!is_ready(&node, at("2026-01-01T00:00:11Z")));
    }

    #[test]
    fn only_a_beat_from_then_on_counts() {
        let lease = json!({"spec": {"renewTime": "2026-01-01T00:00:10.250000Z"}});
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        assert!(is_renewed(&lease, at("2026-01-01T00:00:10Z")));
        assert!(!is_renewed(&lease, at("2026-01-01T00:00:10.5Z")));
        assert!(!is_renewed(&json!({}), Timestamp::UNIX_EPOCH), "no lease yet");
    }
}
