//! An upstream that answers with its name and misbehaves on demand.
//!
//! What it does is an [`Act`]: by order of the request's `x-act` header, else as it was last told.

use std::{
    io,
    net::SocketAddr,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Empty, Full, channel::Channel, combinators::BoxBody};
use hyper::{
    HeaderMap, Request, Response,
    body::{Bytes, Incoming},
    header::{CONNECTION, CONTENT_TYPE, HeaderValue, UPGRADE},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// The request header that orders an act.
pub const ACT_HEADER: &str = "x-act";
/// The response header that names the upstream.
pub const NAME_HEADER: &str = "x-served-by";

/// What an upstream does with a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Act {
    /// Answers 200.
    #[default]
    Answer,
    /// Answers with that status.
    Status(u16),
    /// Answers 200 after that time.
    Slow(Duration),
    /// Never answers.
    Hang,
    /// Closes the connection instead of answering.
    Reset,
    /// Answers 200, closes the connection in the midst of the body.
    Truncate,
    /// Answers 200, and never ends the body.
    Stall,
    /// Closes the connection until the attempt of that number, which it answers.
    ResetUntil(u32),
    /// Answers 503 until the attempt of that number, which it answers with 200.
    UnavailableUntil(u32),
    /// A gRPC answer whose trailers carry that status.
    Grpc(u32),
    /// A gRPC answer of headers alone, which carry that status.
    GrpcHeadersOnly(u32),
    /// Becomes another kind of connection, and echoes.
    Upgrade,
}

impl FromStr for Act {
    type Err = anyhow::Error;

    /// `status 503`, `slow 300` (milliseconds), `hang`, …
    fn from_str(order: &str) -> Result<Self> {
        let (verb, number) = order.split_once(' ').unwrap_or((order, ""));
        Ok(match verb {
            "answer" => Self::Answer,
            "status" => Self::Status(number.parse()?),
            "slow" => Self::Slow(Duration::from_millis(number.parse()?)),
            "hang" => Self::Hang,
            "reset" => Self::Reset,
            "truncate" => Self::Truncate,
            "stall" => Self::Stall,
            "reset-until" => Self::ResetUntil(number.parse()?),
            "unavailable-until" => Self::UnavailableUntil(number.parse()?),
            "grpc" => Self::Grpc(number.parse()?),
            "grpc-headers-only" => Self::GrpcHeadersOnly(number.parse()?),
            "upgrade" => Self::Upgrade,
            _ => bail!("an upstream knows no act {order:?}"),
        })
    }
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Heard {
    /// The path.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
}

/// A running upstream; it stops when dropped.
pub struct Upstream {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

struct State {
    name: String,
    act: Mutex<Act>,
    heard: Mutex<Vec<Heard>>,
}

type Answer = Response<BoxBody<Bytes, io::Error>>;

impl Upstream {
    /// Starts one. `name` ends in `-primary` or `-canary` if it is to count for a track.
    pub async fn start(name: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for an upstream")?;
        let address = listener.local_addr()?;
        let (act, heard) = (Mutex::default(), Mutex::default());
        let state = Arc::new(State { name: name.to_owned(), act, heard });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self { address, state, accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells it what to do from now on with requests that order nothing.
    pub fn act(&self, act: Act) {
        *lock(&self.state.act) = act;
    }

    /// Every request that arrived, attempts included.
    pub fn heard(&self) -> Vec<Heard> {
        lock(&self.state.heard).clone()
    }

    /// How many of them carried a header.
    pub fn heard_with(&self, header: &str) -> usize {
        lock(&self.state.heard).iter().filter(|it| it.headers.contains_key(header)).count()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&state)));
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { state.answer(request).await }
    });
    let server = auto::Builder::new(TokioExecutor::new());
    // Errors are what this server is for.
    let _ = server.serve_connection_with_upgrades(TokioIo::new(stream), answer).await;
}

impl State {
    async fn answer(&self, request: Request<Incoming>) -> Result<Answer> {
        let act = self.ordered(&request)?;
        let path = request.uri().path_and_query().map_or("", |it| it.as_str()).to_owned();
        lock(&self.heard).push(Heard { path, headers: request.headers().clone() });
        let attempt = attempt(&request);
        match act {
            Act::Status(status) => self.status(status),
            Act::Slow(time) => {
                tokio::time::sleep(time).await;
                self.status(200)
            }
            Act::Hang => std::future::pending().await,
            Act::Reset => bail!("ordered to reset"),
            Act::ResetUntil(good) if attempt < good => bail!("ordered to reset"),
            Act::UnavailableUntil(good) if attempt < good => self.status(503),
            Act::Answer | Act::ResetUntil(_) | Act::UnavailableUntil(_) => self.status(200),
            Act::Truncate => self.truncated().await,
            Act::Stall => self.stalled().await,
            Act::Grpc(status) => self.grpc(status).await,
            Act::GrpcHeadersOnly(status) => self.grpc_headers_only(status),
            Act::Upgrade => self.upgraded(request),
        }
    }

    fn ordered(&self, request: &Request<Incoming>) -> Result<Act> {
        match request.headers().get(ACT_HEADER) {
            Some(order) => order.to_str()?.parse(),
            None => Ok(*lock(&self.act)),
        }
    }

    fn head(&self, status: u16) -> hyper::http::response::Builder {
        Response::builder().status(status).header(NAME_HEADER, &self.name)
    }

    fn status(&self, status: u16) -> Result<Answer> {
        Ok(self.head(status).body(text(format!("{}\n", self.name)))?)
    }

    async fn truncated(&self) -> Result<Answer> {
        let (mut sender, body) = Channel::new(1);
        sender.send_data(Bytes::from_static(b"half an answ")).await?;
        tokio::spawn(async move {
            // The head and the half must have left before the connection breaks.
            tokio::time::sleep(Duration::from_millis(50)).await;
            sender.abort(io::Error::other("ordered to truncate"));
        });
        Ok(self.head(200).body(body.boxed())?)
    }

    async fn stalled(&self) -> Result<Answer> {
        let (mut sender, body) = Channel::new(1);
        sender.send_data(Bytes::from_static(b"the first half")).await?;
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_mins(1)).await;
            drop(sender);
        });
        Ok(self.head(200).body(body.boxed())?)
    }

    async fn grpc(&self, status: u32) -> Result<Answer> {
        let (mut sender, body) = Channel::new(2);
        // An uncompressed message of no bytes.
        sender.send_data(Bytes::from_static(&[0; 5])).await?;
        let trailers = HeaderMap::from_iter([(grpc_status(), HeaderValue::from(status))]);
        sender.send_trailers(trailers).await?;
        Ok(self.head(200).header(CONTENT_TYPE, "application/grpc").body(body.boxed())?)
    }

    fn grpc_headers_only(&self, status: u32) -> Result<Answer> {
        let head = self.head(200).header(CONTENT_TYPE, "application/grpc");
        Ok(head.header(grpc_status(), status).body(nothing())?)
    }

    fn upgraded(&self, request: Request<Incoming>) -> Result<Answer> {
        tokio::spawn(async move {
            let mut io = TokioIo::new(hyper::upgrade::on(request).await?);
            let mut word = [0; 4];
            io.read_exact(&mut word).await?;
            io.write_all(&word).await?;
            io.flush().await?;
            let _ = io.read(&mut word).await;
            anyhow::Ok(())
        });
        let head = self.head(101).header(CONNECTION, "upgrade").header(UPGRADE, "websocket");
        Ok(head.body(nothing())?)
    }
}

/// Envoy counts attempts from 1.
fn attempt(request: &Request<Incoming>) -> u32 {
    let header = request.headers().get("x-envoy-attempt-count");
    header.and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(1)
}

fn grpc_status() -> hyper::header::HeaderName {
    hyper::header::HeaderName::from_static("grpc-status")
}

fn text(text: String) -> BoxBody<Bytes, io::Error> {
    Full::from(text).map_err(|never| match never {}).boxed()
}

fn nothing() -> BoxBody<Bytes, io::Error> {
    Empty::new().map_err(|never| match never {}).boxed()
}
