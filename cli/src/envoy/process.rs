//! A running Envoy: started, waited for, stopped gently, killed if need be, never left behind.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::{Admin, GUARD};

/// Compiling the module takes a second per mebibyte on a slow machine, twice.
const READY_AFTER_MAX: Duration = Duration::from_mins(1);
/// What a person is shown of the log when Envoy fails.
const LOG_TAIL_LINES: usize = 20;
/// For clients that keep their connections: those that ask anything in this time are told to close.
const DRAIN: Duration = Duration::from_secs(1);
/// A process that is killed is gone at once, or waits for a disk.
const KILLED_AFTER_MAX: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(20);

/// What to start.
#[derive(Clone, Debug)]
pub struct Launch<'a> {
    /// Envoy.
    pub envoy: &'a Path,
    /// A program of ours that calls [`super::become_envoy_if_asked`], so that Envoy dies with this process; without
    /// one, SIGKILL leaves it behind. Envoy then lives no longer than the *thread* that starts it.
    pub guard: Option<&'a Path>,
    /// A directory for the bootstrap and the log.
    pub directory: &'a Path,
    /// The bootstrap's text.
    pub bootstrap: &'a str,
    /// The admin socket of the bootstrap.
    pub admin: &'a Path,
    /// The listener whose address is wanted.
    pub listener: &'a str,
    /// Worker threads.
    pub concurrency: usize,
}

/// A running Envoy. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    admin: Admin,
    address: SocketAddr,
    log: PathBuf,
    concurrency: usize,
}

/// Why Envoy does not run.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// Its files could not be written, or it could not be run.
    #[error("cannot start envoy: {0}")]
    Start(#[from] std::io::Error),
    /// It ended.
    #[error("envoy ended with {status}; its log ends so:\n{log}")]
    Ended {
        /// How.
        status: ExitStatus,
        /// The log's last lines.
        log: String,
    },
    /// Somebody else listens where it should.
    #[error("envoy cannot listen there: the address is in use")]
    Taken,
    /// It did not become ready.
    #[error("envoy is not ready after {} s; its log ends so:\n{log}", READY_AFTER_MAX.as_secs())]
    NotReady {
        /// The log's last lines.
        log: String,
    },
}

impl Process {
    /// Starts Envoy and waits until it serves.
    pub async fn start(launch: &Launch<'_>) -> Result<Self, ProcessError> {
        let bootstrap = launch.directory.join("bootstrap.json");
        super::files::replace(&bootstrap, launch.bootstrap.as_bytes())?;
        let log = launch.directory.join("envoy.log");
        let child = command(launch, &bootstrap, &log)?.spawn()?;
        let admin = Admin::new(launch.admin);
        let address = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut process = Self { child, admin, address, log, concurrency: launch.concurrency };
        process.address = process.become_ready(launch.listener).await?;
        Ok(process)
    }

    /// Where requests come in.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The admin interface.
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// The process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// VMs that run the filter and report: one for each worker, one for the main thread.
    pub fn vms(&self) -> usize {
        self.concurrency + 1
    }

    /// The log's last lines.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }

    /// The first error of the log, without its place in Envoy's source; empty if there is none.
    pub fn first_error(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let error = text.lines().find(|line| line.contains("][error]["));
        let message = error.and_then(|line| line.split_once("] [")?.1.split_once("] "));
        message.map_or(String::new(), |(_, message)| message.to_owned())
    }

    /// Resolves when Envoy ends by itself. May be dropped and called again.
    pub async fn ended(&mut self) -> ProcessError {
        match self.child.wait().await {
            Ok(status) => ProcessError::Ended { status, log: self.log_tail() },
            Err(error) => ProcessError::Start(error),
        }
    }

    /// Lets requests in flight finish, for at most `grace`, then ends Envoy.
    pub async fn stop(mut self, grace: Duration) {
        let _ = timeout(grace, self.drain()).await;
        if let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            let _ = kill_process(pid, Signal::TERM);
        }
        if timeout(Duration::from_secs(3), self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }

    /// Every answer asks its connection to close from here on; then no connection is accepted; then the last request
    /// ends.
    async fn drain(&self) {
        if self.admin.post("/drain_listeners?graceful").await.is_err() {
            return;
        }
        let _ =
            timeout(DRAIN + DRAIN / 4, self.none_active("http.ingress.downstream_cx_active")).await;
        self.none_active("http.ingress.downstream_rq_active").await;
    }

    async fn none_active(&self, gauge: &str) {
        while self.admin.stat(gauge).await.unwrap_or(0) > 0 {
            sleep(POLL).await;
        }
    }

    async fn become_ready(&mut self, listener: &str) -> Result<SocketAddr, ProcessError> {
        let begin = Instant::now();
        while begin.elapsed() < READY_AFTER_MAX {
            if says_taken(&self.first_error()) {
                return Err(ProcessError::Taken);
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(ProcessError::Ended { status, log: self.log_tail() });
            }
            if self.admin.ready().await
                && let Some(address) = self.admin.listener(listener).await
            {
                return Ok(address);
            }
            sleep(POLL).await;
        }
        Err(ProcessError::NotReady { log: self.log_tail() })
    }
}

/// Envoy goes on without a listener for which it comes too late, and says so in its log alone.
fn says_taken(error: &str) -> bool {
    error.contains("Address already in use")
        || error.contains(&format!("errno={}", rustix::io::Errno::ADDRINUSE.raw_os_error()))
}

impl Drop for Process {
    /// Waits a moment for the end, so that nothing is written any more into a directory that is about to be removed.
    fn drop(&mut self) {
        if self.child.start_kill().is_err() {
            return;
        }
        let until = Instant::now() + KILLED_AFTER_MAX;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn command(launch: &Launch<'_>, bootstrap: &Path, log: &Path) -> std::io::Result<Command> {
    let mut command = match launch.guard {
        Some(guard) => {
            let mut command = Command::new(guard);
            command.arg(GUARD).arg(std::process::id().to_string()).arg(launch.envoy);
            command
        }
        None => Command::new(launch.envoy),
    };
    let said = std::fs::File::create(log)?;
    command
        .arg("--config-path")
        .arg(bootstrap)
        .arg("--disable-hot-restart")
        .args(["--concurrency", &launch.concurrency.to_string()])
        .args(["--drain-time-s", &DRAIN.as_secs().to_string(), "--drain-strategy", "immediate"])
        .args(["--log-level", "warning"])
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said)
        // Ctrl-C at a terminal reaches the whole group; Envoy is to end when we say so.
        .process_group(0)
        .kill_on_drop(true);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_taken_address_is_read_from_the_log() {
        // Of Envoy 1.40, where two started at the same moment.
        let late = "final pre-worker listener init for listener 'ingress' failed: cannot listen() errno=98";
        assert!(says_taken(late));
        assert!(says_taken("cannot bind '127.0.0.1:8080': Address already in use"));
        assert!(!says_taken("") && !says_taken("failed: cannot listen() errno=13"));
    }
}
