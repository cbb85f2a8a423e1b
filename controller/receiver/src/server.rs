//! The server. Whatever a client sends or leaves out costs a bounded number of bytes for a bounded time.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use serin_route::Report;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::{Arrival, Denial, Desk, Peers, accept};

/// Where reports are posted.
pub const PATH: &str = "/v1/reports";
/// What one VM reports of the largest table.
const BODY_BYTES_MAX: usize = 16 << 20;
/// Of all bodies that are being read.
const BODIES_KIB_MAX: usize = 64 << 10;
/// From a request's head to its body's end.
const BODY_TIME_MAX: Duration = Duration::from_secs(10);
/// A connection without a request gives up its place after this time.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Requests at once on one connection: a sidecar in front of us sends those of many proxies.
const STREAMS_MAX: u32 = 256;
const HEAD_BYTES_MAX: usize = 64 << 10;

/// What its caller decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Connections at once; the rest wait until a place is free.
    pub connections: usize,
    /// Whether senders are known.
    pub peers: Peers,
}

/// A server for reports. Dropping it closes it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Begins to answer. Runs within a runtime of tokio.
    pub fn start<D: Desk>(
        listener: TcpListener,
        desk: Arc<D>,
        settings: Settings,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { desk, settings, bodies: Semaphore::new(BODIES_KIB_MAX) });
        let mut tasks = JoinSet::new();
        let serve = move |stream| connection(stream, Arc::clone(&shared));
        tasks.spawn(accept(listener, settings.connections, serve));
        Ok(Self { address, _tasks: tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// What every connection shares.
struct Shared<D> {
    desk: Arc<D>,
    settings: Settings,
    /// KiB of bodies that may be read yet.
    bodies: Semaphore,
}

async fn connection<D: Desk>(stream: TcpStream, shared: Arc<Shared<D>>) {
    let (asked, last) = watch::channel(Instant::now());
    let service = service_fn(move |request| {
        asked.send_replace(Instant::now());
        let shared = Arc::clone(&shared);
        async move {
            let response = respond(shared.receive(request).await);
            shared.desk.answered(response.status());
            Ok::<_, Infallible>(response)
        }
    });
    let protocols = protocols();
    // Whoever breaks off, or is broken off, sends the same counts again with its next report.
    tokio::select! {
        _ = protocols.serve_connection(TokioIo::new(stream), service) => {}
        () = silence(last) => {}
    }
}

fn protocols() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    let http1 = &mut builder.http1();
    http1.timer(TokioTimer::new()).header_read_timeout(SILENCE_MAX).max_buf_size(HEAD_BYTES_MAX);
    let http2 = &mut builder.http2();
    http2
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX));
    builder
}

/// Until nothing was asked for too long. What is asked ends sooner.
async fn silence(last: watch::Receiver<Instant>) {
    loop {
        let until = *last.borrow() + SILENCE_MAX;
        if Instant::now() >= until {
            return;
        }
        sleep_until(until).await;
    }
}

impl<D: Desk> Shared<D> {
    async fn receive(&self, request: Request<Incoming>) -> Result<(), Denial> {
        if request.uri().path() != PATH {
            let why = format!("reports are posted to {PATH}");
            return Err(Denial::new(StatusCode::NOT_FOUND, why));
        }
        if request.method() != Method::POST {
            return Err(Denial::new(StatusCode::METHOD_NOT_ALLOWED, "reports are posted"));
        }
        let pass = self.desk.admit(bearer(request.headers()))?;
        let peer = self.settings.peers.of(request.headers())?;
        let reading = self.read(request.into_body());
        let report = timeout(BODY_TIME_MAX, reading).await.unwrap_or_else(|_| {
            let why = format!("the report did not come within {} s", BODY_TIME_MAX.as_secs());
            Err(Denial::new(StatusCode::REQUEST_TIMEOUT, why))
        })?;
        self.desk.take(pass, Arrival { at: Instant::now(), peer, report })
    }

    async fn read(&self, body: Incoming) -> Result<Report, Denial> {
        let most = body.size_hint().upper().and_then(|it| usize::try_from(it).ok());
        let most = most.unwrap_or(BODY_BYTES_MAX);
        if most > BODY_BYTES_MAX {
            return Err(too_large());
        }
        let kib = u32::try_from(most / 1024 + 1).unwrap_or(u32::MAX);
        let Ok(_room) = self.bodies.acquire_many(kib).await else {
            return Err(Denial::unavailable("the receiver ends"));
        };
        let bytes = match Limited::new(body, BODY_BYTES_MAX).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => return Err(too_large()),
            Err(_) => return Err(Denial::new(StatusCode::BAD_REQUEST, "the body broke off")),
        };
        Report::parse(&bytes)
            .map_err(|error| Denial::new(StatusCode::BAD_REQUEST, error.to_string()))
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn too_large() -> Denial {
    let why = format!("a report has at most {BODY_BYTES_MAX} bytes");
    Denial::new(StatusCode::PAYLOAD_TOO_LARGE, why)
}

fn respond(received: Result<(), Denial>) -> Response<Full<Bytes>> {
    let (status, text) = match received {
        // The body of an answer is reserved: the filter must not learn to read it.
        Ok(()) => (StatusCode::OK, String::new()),
        Err(Denial { status, why }) => (status, format!("{why}\n")),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response
}
