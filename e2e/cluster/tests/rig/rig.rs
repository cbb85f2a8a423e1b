//! A cluster of a test, used as a person uses it: by the program.

use std::{
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, Once, PoisonError},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use serin_cluster::{access::Access, cluster::Cluster, images, say};

/// One test at a time: they compare what the whole machine has, and a node wants its processors.
static TURN: Mutex<()> = Mutex::new(());

pub(crate) fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A cluster that no one else uses, removed also when a test fails.
pub(crate) struct Rig {
    pub(crate) name: &'static str,
}

impl Rig {
    pub(crate) fn new(name: &'static str) -> Self {
        let root = rustix::process::geteuid().is_root();
        assert!(root, "these tests need root: they make namespaces, cgroups and mounts");
        TIDY.call_once(tidy_after_signals);
        let rig = Self { name };
        NAMES.lock().unwrap_or_else(PoisonError::into_inner).push(name);
        rig.run(&["down"]);
        rig
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_serin-cluster"));
        command.args(["--name", self.name]).args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let began = Instant::now();
        let output = self.command(arguments).stderr(Stdio::inherit()).output().expect("it runs");
        let words = arguments.join(" ");
        assert!(output.status.success(), "`{words}` of {}", self.name);
        say::note(&format!("{}: {words}: {:.1} s", self.name, began.elapsed().as_secs_f64()));
        String::from_utf8(output.stdout).expect("text")
    }

    pub(crate) fn up(&self) -> Access {
        self.up_with(&["up", "--bare"])
    }

    pub(crate) fn up_with(&self, arguments: &[&str]) -> Access {
        self.run(arguments);
        Cluster::named(self.name).and_then(|it| it.access()).expect("access to it")
    }

    /// The process of a part, by the same table.
    pub(crate) fn pid(&self, part: &str) -> Option<String> {
        let table = self.status().1;
        let line = table.lines().find(|line| line.starts_with(&format!("{part} ")))?;
        line.split_whitespace().nth(1).map(str::to_owned)
    }

    /// Whether all is well, and the table that a person reads.
    pub(crate) fn status(&self) -> (bool, String) {
        let began = Instant::now();
        let output = self.command(&["status"]).output().expect("it runs");
        let seconds = began.elapsed().as_secs_f64();
        say::note(&format!("{}: status: {:?} after {seconds:.1} s", self.name, output.status));
        (output.status.success(), String::from_utf8(output.stdout).expect("text"))
    }

    /// All programs are, and so many deployments.
    pub(crate) fn all_ready(&self, deployments: usize) {
        let (is_well, table) = self.status();
        assert!(is_well, "{table}");
        let lines: Vec<&str> = table.lines().skip(1).map(str::trim_end).collect();
        let ending = |end: &str| lines.iter().filter(|line| line.ends_with(end)).count();
        assert_eq!((ending(" yes"), ending(" 1/1")), (8, deployments), "{table}");
        assert_eq!(lines.len(), 8 + deployments, "{table}");
    }

    pub(crate) fn kill(&self, part: &str) {
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
pub(crate) fn pod(access: &Access, name: &str) {
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

pub(crate) fn status_of(access: &Access, pod: &str) -> Value {
    let text = access.kubectl(["get", "pod", pod, "--output=json"]).expect("the pod");
    serde_json::from_str(&text).expect("JSON")
}
