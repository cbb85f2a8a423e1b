//! The rig on the real thing: what `up` makes `down` removes, and `up` mends what was killed. Needs root.

mod traces;

use std::{
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, Once, PoisonError},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use serin_cluster::{access::Access, cluster::Cluster, images, say};
use traces::Traces;

/// One test at a time: they compare what the whole machine has, and a node wants its processors.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A cluster that no one else uses, removed also when a test fails.
struct Rig {
    name: &'static str,
}

impl Rig {
    fn new(name: &'static str) -> Self {
        let root = rustix::process::geteuid().is_root();
        assert!(root, "these tests need root: they make namespaces, cgroups and mounts");
        TIDY.call_once(tidy_after_signals);
        let rig = Self { name };
        NAMES.lock().unwrap_or_else(PoisonError::into_inner).push(name);
        rig.run(&["down"]);
        rig
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_serin-cluster"));
        command.args(["--name", self.name]).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> String {
        let began = Instant::now();
        let output = self.command(arguments).stderr(Stdio::inherit()).output().expect("it runs");
        let words = arguments.join(" ");
        assert!(output.status.success(), "`{words}` of {}", self.name);
        say::note(&format!("{}: {words}: {:.1} s", self.name, began.elapsed().as_secs_f64()));
        String::from_utf8(output.stdout).expect("text")
    }

    fn up(&self) -> Access {
        self.up_with(&["up", "--bare"])
    }

    fn up_with(&self, arguments: &[&str]) -> Access {
        self.run(arguments);
        Cluster::named(self.name).and_then(|it| it.access()).expect("access to it")
    }

    /// The process of a part, by the table that a person reads.
    fn pid(&self, part: &str) -> Option<String> {
        let table = self.run(&["status"]);
        let line = table.lines().find(|line| line.starts_with(&format!("{part} ")))?;
        line.split_whitespace().nth(1).map(str::to_owned)
    }

    /// All programs are, and so many deployments.
    fn all_ready(&self, deployments: usize) {
        let table = self.run(&["status"]);
        let lines: Vec<&str> = table.lines().skip(1).map(str::trim_end).collect();
        let ending = |end: &str| lines.iter().filter(|line| line.ends_with(end)).count();
        assert_eq!((ending(" yes"), ending(" 1/1")), (8, deployments), "{table}");
        assert_eq!(lines.len(), 8 + deployments, "{table}");
    }

    fn kill(&self, part: &str) {
        let pid = self.pid(part).expect("a part that runs");
        let killed = Command::new("kill").args(["-9", &pid]).status().expect("kill runs");
        assert!(killed.success(), "kill -9 of {part}, process {pid}");
    }
}

/// Clusters that a signal takes down, which ends no test the usual way.
static NAMES: Mutex<Vec<&str>> = Mutex::new(Vec::new());
static TIDY: Once = Once::new();

fn tidy_after_signals() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]);
    let mut signals = signals.expect("signals can be caught");
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            let names = NAMES.lock().unwrap_or_else(PoisonError::into_inner).clone();
            for name in names {
                let _ = Rig { name }.command(&["down"]).status();
            }
            std::process::exit(128 + signal);
        }
    });
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = self.command(&["down"]).status();
    }
}

/// A pod that only waits.
fn pod(access: &Access, name: &str) {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "pause", "image": images::PAUSE, "imagePullPolicy": "Never",
                "volumeMounts": [{"name": "memory", "mountPath": "/memory"}],
            }],
            // Something for the kubelet to mount.
            "volumes": [{"name": "memory", "emptyDir": {"medium": "Memory"}}],
        },
    });
    // The default service account is made by a controller, a moment after the namespace.
    let deadline = Instant::now() + Duration::from_secs(20);
    while let Err(error) = access.apply(&pod.to_string()) {
        assert!(Instant::now() < deadline, "{error:#}");
        thread::sleep(Duration::from_millis(200));
    }
    let pod = format!("pod/{name}");
    access.kubectl(["wait", "--for=condition=Ready", "--timeout=60s", &pod]).expect("it runs");
}

fn status_of(access: &Access, pod: &str) -> Value {
    let text = access.kubectl(["get", "pod", pod, "--output=json"]).expect("the pod");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn three_rounds_leave_nothing() {
    let _turn = turn();
    let rig = Rig::new("rig-rounds");
    // The first with all that runs in pods, which has to come back after the node's own programs were killed.
    for round in 1..=3 {
        let before = Traces::of(rig.name);
        assert!(before.is_clean(), "before round {round}: {before:#?}");
        let is_mesh = round == 1;
        let access = if is_mesh { rig.up_with(&["up"]) } else { rig.up() };
        pod(&access, "one");
        if is_mesh {
            a_mesh_is_mended(&rig, &access);
        }
        let meanwhile = Traces::of(rig.name);
        assert!(meanwhile.is_rich(), "a look that sees nothing proves nothing: {meanwhile:#?}");
        rig.run(&["down"]);
        let after = Traces::of(rig.name);
        assert_eq!(before, after, "after round {round}");
        let left = traces::processes_in(&meanwhile.networks);
        assert!(left.is_empty(), "their networks live on in {left:?}");
    }
}

fn a_mesh_is_mended(rig: &Rig, access: &Access) {
    rig.all_ready(6);
    let delete = ["delete", "--namespace=istio-system", "deployment", "prometheus"];
    access.kubectl(delete).expect("deleted");
    let scale = ["scale", "--namespace=istio-system", "--replicas=0", "deployment", "istiod"];
    access.kubectl(scale).expect("scaled");
    for part in ["kubelet", "containerd", "etcd"] {
        rig.kill(part);
    }
    rig.run(&["up"]);
    rig.all_ready(6);
    let list = access.kubectl(["get", "pods", "--all-namespaces", "--output=json"]).expect("pods");
    let list: Value = serde_json::from_str(&list).expect("JSON");
    for pod in list["items"].as_array().expect("items") {
        let restarts = pod.pointer("/status/containerStatuses/0/restartCount");
        assert_eq!(restarts, Some(&json!(0)), "{}", pod["metadata"]["name"]);
    }
    let prometheus = Cluster::named(rig.name).and_then(|it| it.address("prometheus"));
    let address = prometheus.expect("an address");
    let answer = ureq::get(format!("http://{address}/-/ready")).call().expect("an answer");
    assert_eq!(answer.status(), 200, "through the service's rules");
}

#[test]
fn what_was_killed_is_mended_by_up() {
    let _turn = turn();
    let rig = Rig::new("rig-kill");
    let before = Traces::of(rig.name);
    let access = rig.up();
    pod(&access, "old");
    for (number, part) in ["kubelet", "containerd", "etcd", "forward"].into_iter().enumerate() {
        let others = rig.pid("kube-apiserver");
        rig.kill(part);
        rig.up();
        rig.all_ready(0);
        assert_eq!(rig.pid("kube-apiserver"), others, "it was not the one that was killed");
        pod(&access, &format!("new-{number}"));
        let old = status_of(&access, "old");
        assert_eq!(old.pointer("/status/phase"), Some(&json!("Running")), "after {part}");
        let restarts = old.pointer("/status/containerStatuses/0/restartCount");
        assert_eq!(restarts, Some(&json!(0)), "after {part}");
    }
    // Whatever is dead when `down` begins is no obstacle to it.
    for part in ["containerd", "kube-apiserver", "kubelet"] {
        rig.kill(part);
    }
    rig.run(&["down"]);
    assert_eq!(before, Traces::of(rig.name));
}

#[test]
fn an_up_that_was_killed_is_taken_down_or_finished() {
    let _turn = turn();
    let rig = Rig::new("rig-half");
    let before = Traces::of(rig.name);
    for (milliseconds, finish) in [(300, false), (1500, false), (3500, false), (2500, true)] {
        let mut half = rig.command(&["up", "--bare"]).spawn().expect("it starts");
        thread::sleep(Duration::from_millis(milliseconds));
        half.kill().expect("SIGKILL");
        half.wait().expect("it ends");
        if finish {
            let access = rig.up();
            rig.all_ready(0);
            pod(&access, "one");
        }
        rig.run(&["down"]);
        assert_eq!(before, Traces::of(rig.name), "killed after {milliseconds} ms");
    }
}

#[test]
fn two_clusters_live_side_by_side() {
    let _turn = turn();
    let (left, right) = (Rig::new("rig-left"), Rig::new("rig-right"));
    let before = Traces::of(right.name);
    let (on_left, on_right) = (left.up(), right.up());
    pod(&on_left, "here");
    pod(&on_right, "there");
    assert!(on_left.kubectl(["get", "pod", "there"]).is_err());
    right.run(&["down"]);
    assert_eq!(before, Traces::of(right.name));
    left.all_ready(0);
    pod(&on_left, "still-here");
}
