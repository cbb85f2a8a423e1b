//! Programs as children, and a client whose every request is one that the test wrote.
#![allow(clippy::allow_attributes, dead_code, reason = "each test file uses a part of it")]

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Request,
    body::{Bytes, Incoming},
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpStream;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A program that listens. It is killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Server {
    /// `faulty` on a port of the system's choice.
    pub(crate) fn faulty(words: &[&str]) -> Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_faulty"));
        Self::start(command.args(["--listen", "127.0.0.1:0"]).args(words))
    }

    /// `load serve`, likewise.
    pub(crate) fn load() -> Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_load"));
        Self::start(command.args(["serve", "--listen", "127.0.0.1:0"]))
    }

    fn start(command: &mut Command) -> Result<Self> {
        let mut child = command.stderr(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("no stderr")?);
        let mut line = String::new();
        lines.read_line(&mut line)?;
        let address = line.trim().rsplit(' ').next().unwrap_or_default().parse();
        let address = address.with_context(|| format!("no address in {line:?}"))?;
        // Whatever else it says must have somewhere to go.
        std::thread::spawn(move || lines.read_to_string(&mut String::new()));
        Ok(Self { child, address })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        signal(self.child.id(), name)
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> Result<ExitStatus> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("it did not end");
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Answer> {
        http1(self.address, request("GET", path, &[], "")?).await
    }

    pub(crate) async fn with_header(&self, name: &str, value: &str) -> Result<Answer> {
        http1(self.address, request("GET", "/", &[(name, value)], "")?).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: &str) -> Result<Answer> {
        http1(self.address, request(method, path, &[], body)?).await
    }

    /// Over HTTP/2 in the clear.
    pub(crate) async fn http2(&self, path: &str) -> Result<Answer> {
        let url = format!("http://{}{path}", self.address);
        let io = TokioIo::new(TcpStream::connect(self.address).await?);
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(connection);
        read(sender.send_request(request("GET", &url, &[], "")?).await?).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn signal(id: u32, name: &str) -> Result<()> {
    let status = Command::new("kill").arg(format!("-{name}")).arg(id.to_string()).status()?;
    if status.success() { Ok(()) } else { bail!("kill -{name} {id}: {status}") }
}

/// Sends a body to an address.
pub(crate) async fn post(address: SocketAddr, path: &str, body: &str) -> Result<Answer> {
    http1(address, request("POST", path, &[], body)?).await
}

fn request(
    method: &str,
    uri: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Request<Full<Bytes>>> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Ok(request.body(Full::from(body.to_owned()))?)
}

async fn http1(address: SocketAddr, mut request: Request<Full<Bytes>>) -> Result<Answer> {
    request.headers_mut().insert("host", "test".parse()?);
    let io = TokioIo::new(TcpStream::connect(address).await?);
    let (mut sender, connection) = http1::handshake(io).await?;
    tokio::spawn(connection);
    read(sender.send_request(request).await?).await
}

async fn read(response: hyper::Response<Incoming>) -> Result<Answer> {
    let (head, body) = response.into_parts();
    let body = String::from_utf8(body.collect().await?.to_bytes().to_vec())?;
    Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
}

/// Runs `load` to its end, without blocking the test's other tasks.
pub(crate) async fn load(words: &[&str]) -> Result<Output> {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_load"));
    Ok(command.args(words).kill_on_drop(true).output().await?)
}

/// What it printed as JSON; it must have exited with 0.
pub(crate) fn outcome(output: &Output) -> Result<serin_e2e_apps::load::Outcome> {
    let complaints = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{}: {complaints}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// A program's exit code and what it said, when it was used wrongly.
pub(crate) fn refused(program: &str, words: &[&str]) -> Result<(Option<i32>, String)> {
    let output = Command::new(program).args(words).output()?;
    anyhow::ensure!(output.stdout.is_empty(), "complaints belong on the standard error");
    Ok((output.status.code(), String::from_utf8(output.stderr)?))
}
