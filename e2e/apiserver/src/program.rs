//! The controller as a process of its own, for what only a process can show: that it dies, ends, and answers on a port.

use std::{
    env,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serin_cluster::cargo::cargo;
use ureq::{Agent, http::Request};

use crate::eventually;

/// Longer than it may take to end, which it says of itself.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// A running controller; dropped, it is killed.
pub struct Program {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Program {
    /// Starts one as if in this pod.
    pub fn start(kubeconfig: &Path, namespace: &str, pod: &str, args: &[&str]) -> Self {
        let mut command = command(kubeconfig, namespace, pod);
        command.args(["--log", "info,serin_controller=debug"]).args(args);
        Self::spawn(command, pod, true)
    }

    /// As [`Self::start`], with the log as it is by default, which is kept and not shown.
    pub fn quiet(kubeconfig: &Path, namespace: &str, pod: &str) -> Self {
        Self::spawn(command(kubeconfig, namespace, pod), pod, false)
    }

    fn spawn(mut command: Command, pod: &str, shown: bool) -> Self {
        let mut child = command.spawn().expect("the controller starts");
        let lines = Arc::default();
        let stderr = child.stderr.take().expect("its log");
        let (name, kept) = (shown.then(|| pod.to_owned()), Arc::clone(&lines));
        thread::spawn(move || follow(name.as_deref(), stderr, &kept));
        Self { child, lines }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it logs this.
    pub fn until_logged(&self, part: &str) {
        let logged = || self.lines().iter().any(|line| line.contains(part));
        eventually(&format!("the log to say: {part}"), logged).expect("it is said");
    }

    /// What its admin port answers: the status, and the body.
    pub fn get(&self, path: &str) -> (u16, String) {
        self.ask("GET", path, &[], "")
    }

    /// As [`Self::get`], with a method, headers and a body.
    pub fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String) {
        let url = format!("http://{}{path}", self.admin());
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.to_owned()).expect("a request");
        let config = Agent::config_builder().http_status_as_error(false);
        let agent = config.allow_non_standard_methods(true).build().new_agent();
        let mut answer = agent.run(request).expect("an answer");
        let text = answer.body_mut().read_to_string().expect("text");
        (answer.status().as_u16(), text)
    }

    /// The value of a series, as Prometheus' older text has it; none if there is none.
    pub fn series(&self, series: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map(|value| value.parse().expect("a number"))
    }

    /// Where it takes reports.
    pub fn reports(&self) -> String {
        self.address("reports are received")
    }

    /// Where its admin port is.
    pub fn admin(&self) -> String {
        self.address("the admin port answers")
    }

    /// An address, which stands in a line of text or of JSON that says this.
    fn address(&self, said: &str) -> String {
        self.until_logged(said);
        let lines = self.lines();
        let line = lines.iter().find(|line| line.contains(said)).expect("it was said");
        let (_, port) = line.split_once("127.0.0.1:").expect("an address");
        let port: String = port.chars().take_while(char::is_ascii_digit).collect();
        format!("127.0.0.1:{port}")
    }

    /// Kills it as a machine does that goes down.
    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("it ended");
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(&mut self) -> (ExitStatus, Duration) {
        self.signal(Signal::TERM);
        self.end()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is told");
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_none()
    }

    /// Waits until it has ended.
    pub fn end(&mut self) -> (ExitStatus, Duration) {
        let asked = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("its end") {
                return (status, asked.elapsed());
            }
            assert!(asked.elapsed() < ENDS_WITHIN, "it does not end");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As if in this pod, with ports of the system's choice, and a filter that no proxy here loads.
fn command(kubeconfig: &Path, namespace: &str, pod: &str) -> Command {
    let mut command = Command::new(program());
    command.env("KUBECONFIG", kubeconfig).env("NO_COLOR", "1");
    command.env("POD_NAMESPACE", namespace).env("POD_NAME", pod);
    command.args(["--admin-listen", "127.0.0.1:0", "--reports-listen", "127.0.0.1:0"]);
    let digest = "0".repeat(64);
    command.arg(format!("--module=oci://registry.example/serin@sha256:{digest}"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Keeps its lines, and shows them under a name.
#[expect(clippy::print_stderr, reason = "the log of a controller under test")]
fn follow(name: Option<&str>, stderr: ChildStderr, kept: &Mutex<Vec<String>>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        if let Some(name) = name {
            eprintln!("{name}: {line}");
        }
        kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

/// The program as it is in the tree now: what runs the tests builds it.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(given) = env::var_os("SERIN_CONTROLLER") {
            return given.into();
        }
        let built = cargo().args(["build", "-p", "serin-controller"]).status();
        assert!(built.expect("cargo runs").success(), "the controller does not build");
        let test = env::current_exe().expect("this program's path");
        let directory = test.ancestors().nth(2).expect("the directory of what is built");
        directory.join("serin-controller")
    })
}
