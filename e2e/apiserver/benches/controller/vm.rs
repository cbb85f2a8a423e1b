//! What a filter does in one VM, without an Envoy around it: decides, counts and reports, by the filter's own core.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, Response,
    body::{Bytes, Incoming},
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serin_route::{Closing, Dice, Labels, Opening, Outcome, Report, Router, Tally, VERSION};
use tokio::net::TcpStream;

/// Requests between two reports.
const REQUESTS: u64 = 20;
/// Of these, one in so many fails, at either track.
const FAILS: u64 = 200;
const PATIENCE: Duration = Duration::from_secs(30);

/// How reports travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protocol {
    /// A connection for each VM.
    Http1,
    /// One connection for all, as from a sidecar in front of the controller.
    Http2,
}

/// A connection to the receiver.
#[derive(Debug)]
pub(crate) enum Connection {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// A VM with one scope.
pub(crate) struct Vm {
    router: Router,
    tally: Tally,
    proxy: String,
    boot: String,
    sequence: u64,
    now_ns: u64,
}

/// Nothing of a request matters here: the table has no rules.
struct Bare;

impl serin_route::Request for Bare {
    fn header(&self, _: &str) -> Option<std::borrow::Cow<'_, [u8]>> {
        None
    }
}

impl Vm {
    pub(crate) fn boot(index: usize, table: &[u8]) -> Result<Self> {
        let mut vm = Self {
            router: read(table)?,
            tally: Tally::default(),
            proxy: format!(
                "sidecar~10.0.{}.{}~web-{index}~shop.svc.cluster.local",
                index / 256,
                index % 256
            ),
            boot: format!("{:016x}", index + 1),
            sequence: 0,
            now_ns: 0,
        };
        vm.tally.load(&vm.router.table().rollouts);
        Ok(vm)
    }

    /// Takes up a newer table.
    pub(crate) fn load(&mut self, table: &[u8]) -> Result<()> {
        self.router = read(table)?;
        self.tally.load(&self.router.table().rollouts);
        Ok(())
    }

    /// Serves a few requests.
    fn serve(&mut self) {
        for _ in 0..REQUESTS {
            let dice = Dice { draw: fastrand::u64(..), id: fastrand::u128(..) };
            let Some(decision) = self.router.decide(0, &Bare, dice) else { return };
            let opening = Opening {
                rollout: 0,
                track: decision.track,
                assignment: decision.assignment,
                key: decision.key,
                route: decision.route,
                at_ns: self.now_ns,
            };
            let Some(ticket) = self.tally.open(opening) else { continue };
            self.now_ns += fastrand::u64(2_000_000..80_000_000);
            let outcome =
                if fastrand::u64(..FAILS) == 0 { Outcome::Failed } else { Outcome::Succeeded };
            let served = Some(decision.track);
            let closing = Closing {
                served,
                outcome,
                delayed: false,
                attempts: 1,
                upstream: None,
                at_ns: self.now_ns,
            };
            self.tally.close(ticket, &closing);
        }
    }

    fn report(&mut self, namespace: &str) -> Report {
        self.sequence += 1;
        self.tally.flush(self.now_ns);
        Report {
            version: VERSION,
            scope: self.router.table().scope.clone(),
            side: self.router.table().side,
            proxy: self.proxy.clone(),
            namespace: namespace.to_owned(),
            boot: self.boot.clone(),
            sequence: self.sequence,
            problem: None,
            rollouts: self.tally.report(self.sequence),
        }
    }

    /// Serves, reports, and is heard; how many bytes that were. An error if it was answered otherwise.
    pub(crate) async fn tell(&mut self, to: &mut Connection, namespace: &str) -> Result<usize> {
        self.serve();
        let body = self.report(namespace).to_json();
        let bytes = body.len();
        let reports = self.router.table().reports.as_ref().context("a table without a receiver")?;
        let uri = format!("http://{}{}", reports.authority, reports.path);
        let request = Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header("host", &*reports.authority)
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", reports.token))
            .body(Full::new(Bytes::from(body)))?;
        let answer = tokio::time::timeout(PATIENCE, to.send(request))
            .await
            .context("no answer in time")??;
        let status = answer.status();
        let why = answer.into_body().collect().await?.to_bytes();
        ensure!(
            status == 200,
            "a report was answered with {status}: {}",
            String::from_utf8_lossy(&why)
        );
        self.tally.acknowledge(self.sequence);
        Ok(bytes)
    }
}

impl Connection {
    pub(crate) async fn open(address: &str, protocol: Protocol) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let io = TokioIo::new(stream);
        Ok(match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(io).await?;
                tokio::spawn(connection);
                Self::Http1(sender)
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
                tokio::spawn(connection);
                Self::Http2(sender)
            }
        })
    }

    /// One for another VM; HTTP/1.1 has none to share.
    pub(crate) fn share(&self) -> Option<Self> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(sender) => Some(Self::Http2(sender.clone())),
        }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>> {
        match self {
            Self::Http1(sender) => {
                sender.ready().await?;
                let (mut head, body) = request.into_parts();
                let Some(path) = head.uri.path_and_query().cloned() else {
                    bail!("a URI without a path")
                };
                head.uri = path.into();
                Ok(sender.send_request(Request::from_parts(head, body)).await?)
            }
            Self::Http2(sender) => {
                sender.ready().await?;
                Ok(sender.send_request(request).await?)
            }
        }
    }
}

fn read(table: &[u8]) -> Result<Router> {
    Router::parse(table, &Labels::default())
        .map_err(|problems| anyhow!("the table does not read: {problems}"))
}
