//! Load: from a pod inside the mesh, ordered through a forwarded port, or from this process at the gateway. The same
//! code sends and counts at both places.

use std::net::SocketAddr;

use anyhow::{Context, Result, anyhow, ensure};
use futures_util::FutureExt;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, body::Bytes, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use serin_e2e_apps::load::{Options, Outcome, Plan, Progress, run};
use tokio::{net::TcpStream, sync::oneshot, task::JoinHandle};

use crate::{forward::Forward, mesh::Mesh};

/// The load generator's port.
const PORT: u16 = 8090;

/// Requests at once: as many as keep a small machine busy. Those whose time comes when as many are under way are not
/// sent, so that a machine that is too slow for a rate sends fewer, and fails none.
const CONCURRENCY: u32 = 32;

/// What the tests order, in `load`'s own words.
#[derive(Clone, Debug)]
pub struct Order(Value);

/// A load generator in the mesh.
pub struct Load {
    address: SocketAddr,
    _forward: Forward,
}

/// A load under way.
pub struct Running {
    outcome: JoinHandle<Result<Outcome>>,
    sender: Sender,
}

/// Who sends it.
enum Sender {
    /// A generator in the mesh.
    There(SocketAddr),
    /// This process, until it is told to stop.
    Here(oneshot::Sender<()>),
}

impl Order {
    /// So many requests a second to a URL, for so many seconds.
    pub fn of(url: &str, rps: u32, seconds: u32) -> Self {
        Self(json!({
            "url": url,
            "rps": rps,
            "for": format!("{seconds}s"),
            "concurrency": CONCURRENCY,
        }))
    }

    /// So many requests at this rate, or fewer if the machine is too slow for it.
    #[must_use]
    pub fn requests(mut self, requests: u64) -> Self {
        let rps = self.0["rps"].as_u64().unwrap_or(1);
        self.0["for"] = json!(format!("{}ms", (requests * 1_000).div_ceil(rps)));
        self
    }

    /// With so many at once, at most.
    #[must_use]
    pub fn at_once(mut self, concurrency: u32) -> Self {
        self.0["concurrency"] = json!(concurrency);
        self
    }

    /// Waiting for so long for an answer.
    #[must_use]
    pub fn patience(mut self, time: &str) -> Self {
        self.0["timeout"] = json!(time);
        self
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let line = json!(format!("{name}: {value}"));
        match self.0["header"].as_array_mut() {
            Some(headers) => headers.push(line),
            None => self.0["header"] = json!([line]),
        }
        self
    }

    /// With another host than the URL's.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        self.0["host"] = json!(host);
        self
    }

    /// Like so many users in turn, each named by this header.
    #[must_use]
    pub fn users(mut self, users: u64, header: &str) -> Self {
        self.0["users"] = json!(users);
        self.0["user-header"] = json!(header);
        self
    }

    /// Like so many users in turn, each of which keeps the cookies that it is given.
    #[must_use]
    pub fn browsers(mut self, users: u64) -> Self {
        self.0["users"] = json!(users);
        self.0["cookies"] = json!(true);
        self
    }

    /// Sends it from this process.
    pub async fn run_here(&self) -> Result<Outcome> {
        Ok(run(&self.plan()?, &Progress::default(), std::future::pending()).await)
    }

    /// Begins to send it from this process.
    pub fn begin_here(&self) -> Result<Running> {
        let plan = self.plan()?;
        let (stop, stopped) = oneshot::channel();
        let outcome = tokio::spawn(async move {
            let stopped = stopped.map(drop);
            Ok(run(&plan, &Progress::default(), stopped).await)
        });
        Ok(Running { outcome, sender: Sender::Here(stop) })
    }

    fn plan(&self) -> Result<Plan> {
        let options: Options = serde_json::from_value(self.0.clone())?;
        options.plan().map_err(|error| anyhow!(error))
    }
}

impl Load {
    /// The generator of a namespace.
    pub async fn of(mesh: &Mesh, namespace: &str) -> Result<Self> {
        let pod = mesh.pod(namespace, "app=load").await?;
        let forward = Forward::start(&mesh.client, namespace, &pod, PORT).await?;
        Ok(Self { address: forward.address(), _forward: forward })
    }

    /// Sends a load and waits for its end.
    pub async fn run(&self, order: &Order) -> Result<Outcome> {
        send(self.address, order).await
    }

    /// Begins a load.
    pub fn begin(&self, order: Order) -> Running {
        let address = self.address;
        let outcome = tokio::spawn(async move { send(address, &order).await });
        Running { outcome, sender: Sender::There(address) }
    }
}

impl Running {
    /// Ends it, and all others of this generator.
    pub async fn stop(self) -> Result<Outcome> {
        match self.sender {
            Sender::There(address) => drop(exchange(address, "/stop", &json!({})).await?),
            // Whoever is not there any more has come to its end.
            Sender::Here(stop) => drop(stop.send(())),
        }
        self.outcome.await.context("the load was lost")?
    }
}

/// Answers of a version. An error if any request was not answered by the app with success.
pub fn by(outcome: &Outcome, version: &str) -> Result<u64> {
    faultless(outcome)?;
    Ok(outcome.versions.get(version).copied().unwrap_or(0))
}

/// An error unless every request that was sent was answered with success.
pub fn faultless(outcome: &Outcome) -> Result<()> {
    let answered = outcome.status.get(&200).copied().unwrap_or(0);
    let all = answered == outcome.sent && answered > 0;
    ensure!(all, "not every request was answered with success: {outcome:#?}");
    Ok(())
}

async fn send(address: SocketAddr, order: &Order) -> Result<Outcome> {
    let answer = exchange(address, "/run", &order.0).await?;
    serde_json::from_slice(&answer)
        .with_context(|| format!("not an outcome: {}", String::from_utf8_lossy(&answer)))
}

/// One request on a connection of its own, however long its answer takes.
pub(crate) async fn exchange(address: SocketAddr, path: &str, body: &Value) -> Result<Bytes> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::builder().method(Method::POST).uri(path).header(HOST, "load");
    let request = request.body(Full::new(Bytes::from(body.to_string())))?;
    let answer = sender.send_request(request).await.context("it hung up")?;
    Ok(answer.into_body().collect().await?.to_bytes())
}
