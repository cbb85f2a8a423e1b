//! The program `serin local` as a child, its lines of JSON as values.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use serin_e2e::{children::child, eventually, given};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout, Command},
    time::timeout,
};

/// Longer than any release here takes on a busy machine.
pub(crate) const RELEASE_MAX: Duration = Duration::from_mins(1);

/// A directory with a Canary in it, and room for what the program writes.
pub(crate) struct Desk {
    directory: tempfile::TempDir,
}

/// What to start.
pub(crate) struct Order<'a> {
    pub(crate) desk: &'a Desk,
    pub(crate) primary: Vec<SocketAddr>,
    pub(crate) canary: Vec<SocketAddr>,
    /// More words.
    pub(crate) words: Vec<String>,
}

/// The running program.
pub(crate) struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    complaints: Lines<BufReader<ChildStderr>>,
    /// What was read of the standard output.
    pub(crate) told: VecDeque<Value>,
    /// Where Envoy listens.
    pub(crate) address: SocketAddr,
}

impl Desk {
    /// A desk with a Canary on it.
    pub(crate) fn with(canary: &str) -> Result<Self> {
        let desk = Self { directory: tempfile::tempdir()? };
        std::fs::write(desk.path("canary.yaml"), canary)?;
        Ok(desk)
    }

    /// The filter: the one on the desk, or else ours.
    fn module(&self) -> Result<PathBuf> {
        let own = self.path("filter.wasm");
        if own.exists() { Ok(own) } else { given("SERIN_MODULE") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Program {
    /// Starts the program and waits until it says where Envoy listens.
    pub(crate) async fn start(order: Order<'_>) -> Result<Self> {
        let mut command = child(Path::new("/bin/sh"))?;
        command
            // A write that a limit forbids is to fail as on a full disk, not to end the program.
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(given("SERIN_BIN")?)
            .arg("local")
            .arg(order.desk.path("canary.yaml"))
            .args(["--listen", "127.0.0.1:0", "--output", "json"])
            .arg("--envoy")
            .arg(given("SERIN_ENVOY")?)
            .arg("--module")
            .arg(order.desk.module()?)
            .arg("--report")
            .arg(order.desk.path("report.html"))
            .args(order.primary.iter().flat_map(|at| ["--primary".to_owned(), at.to_string()]))
            .args(order.canary.iter().flat_map(|at| ["--canary".to_owned(), at.to_string()]))
            .args(order.words)
            // Here the program makes its own run directory, which it should remove.
            .env("TMPDIR", order.desk.path(""))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let mut complaints = BufReader::new(child.stderr.take().context("no stderr")?).lines();
        let first = timeout(RELEASE_MAX, complaints.next_line()).await??.unwrap_or_default();
        let address = first.split("http://").nth(1).and_then(|rest| rest.split(": ").next());
        let address = address.with_context(|| format!("no address in {first:?}"))?.parse()?;
        Ok(Self { child, lines, complaints, told: VecDeque::new(), address })
    }

    /// The process id.
    pub(crate) fn id(&self) -> Result<u32> {
        self.child.id().context("the program has ended")
    }

    /// Reads notices until one of this kind.
    pub(crate) async fn until(&mut self, kind: &str) -> Result<Value> {
        self.until_one(|notice| notice["kind"] == kind)
            .await
            .with_context(|| format!("waited for {kind}"))
    }

    /// Reads notices until one that is meant.
    pub(crate) async fn until_one(&mut self, meant: impl Fn(&Value) -> bool) -> Result<Value> {
        let read = async {
            while let Some(line) = self.lines.next_line().await? {
                let notice: Value = serde_json::from_str(&line)?;
                self.told.push_back(notice.clone());
                if meant(&notice) {
                    return Ok(notice);
                }
            }
            bail!("the program ended before that, having told {:#?}", self.told)
        };
        match timeout(RELEASE_MAX, read).await {
            Ok(read) => read,
            Err(_) => bail!("waited in vain, was told {:#?}", self.told),
        }
    }

    /// Reads to the end: how it ended, and the last line.
    pub(crate) async fn ending(&mut self) -> Result<(ExitStatus, Value)> {
        let read = async {
            while let Some(line) = self.lines.next_line().await? {
                self.told.push_back(serde_json::from_str(&line)?);
            }
            anyhow::Ok(self.child.wait().await?)
        };
        let status = timeout(RELEASE_MAX, read).await.context("waited for the end")??;
        Ok((status, self.told.back().cloned().unwrap_or_default()))
    }

    /// The kinds of the notices so far.
    pub(crate) fn kinds(&self) -> Vec<&str> {
        self.told.iter().filter_map(|notice| notice["kind"].as_str()).collect()
    }

    /// What it said on the standard error.
    pub(crate) async fn complaints(&mut self) -> Result<String> {
        let mut said = String::new();
        while let Some(line) = self.complaints.next_line().await? {
            said.push_str(&line);
            said.push('\n');
        }
        Ok(said)
    }

    /// The process id of its Envoy.
    pub(crate) fn envoy(&self) -> Result<u32> {
        let id = self.id()?;
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        children.trim().parse().with_context(|| format!("children of {id}: {children:?}"))
    }
}

/// Sends a signal, by its name.
pub(crate) async fn signal(id: u32, name: &str) -> Result<()> {
    let status = Command::new("kill").arg(format!("-{name}")).arg(id.to_string()).status().await?;
    if status.success() { Ok(()) } else { bail!("kill -{name} {id}: {status}") }
}

/// Lets a process write no files, or again any: what it sees is a full disk.
pub(crate) async fn limit_files(id: u32, bytes: &str) -> Result<()> {
    let (pid, size) = (id.to_string(), format!("--fsize={bytes}:unlimited"));
    let status = Command::new("prlimit").args(["--pid", &pid, &size]).status().await?;
    if status.success() { Ok(()) } else { bail!("prlimit {size} of {id}: {status}") }
}

/// Waits until a process is gone; one that nobody has waited for counts as gone.
pub(crate) async fn gone(id: u32) -> Result<()> {
    eventually(&format!("the end of process {id}"), async || {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let state = stat.rsplit(')').next().unwrap_or_default().trim_start().chars().next();
        (state.is_none() || state == Some('Z')).then_some(())
    })
    .await
}

/// Run directories that were left behind.
pub(crate) fn left_behind(desk: &Path) -> Result<Vec<PathBuf>> {
    let mut left = Vec::new();
    for entry in std::fs::read_dir(desk)? {
        let path = entry?.path();
        if path.is_dir() {
            left.push(path);
        }
    }
    Ok(left)
}
