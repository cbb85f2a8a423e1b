//! The admin port: whether this process lives and is of use, its metrics, and what it logs. Plain HTTP for kubelet,
//! Prometheus and people inside the cluster; nothing here changes a release.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serin_receiver::accept;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::health::Health;
use crate::logs::Level;
use crate::metrics::{Exposition, Metrics};

/// A filter has a few dozen.
const BODY_BYTES_MAX: usize = 4096;
/// Kubelet, a few Prometheuses, and a person.
const CONNECTIONS_MAX: usize = 32;
/// A connection without a request gives up its place after this time.
const SILENCE_MAX: Duration = Duration::from_secs(30);

const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the port answers from.
pub struct Admin {
    /// Lives, and is of use.
    pub health: Arc<Health>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What is logged.
    pub level: Level,
}

/// There is nothing to listen on.
#[derive(Debug, Error)]
#[error("--admin-listen {address}: {source}; give another address, or port 0 for any free one")]
pub struct ListenError {
    address: SocketAddr,
    source: std::io::Error,
}

/// The server; dropped, it is closed.
#[derive(Debug)]
pub struct Port {
    _server: JoinSet<()>,
}

type Answer = Response<Full<Bytes>>;

impl Admin {
    /// Begins to answer.
    pub async fn listen(self, address: SocketAddr) -> Result<Port, ListenError> {
        let failed = |source| ListenError { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        tracing::info!(address = %bound, "the admin port answers");
        let mut server = JoinSet::new();
        let admin = Arc::new(self);
        let serve = move |stream| connection(stream, Arc::clone(&admin));
        server.spawn(accept(listener, CONNECTIONS_MAX, serve));
        Ok(Port { _server: server })
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let path = request.uri().path();
        match (request.method(), path) {
            (&Method::GET | &Method::HEAD, "/livez") => verdict(self.health.alive()),
            (&Method::GET | &Method::HEAD, "/readyz") => verdict(self.health.ready()),
            (&Method::GET, "/metrics") => self.expose(&request),
            (&Method::GET, "/loglevel") => text(StatusCode::OK, &self.level.to_string()),
            (&Method::PUT, "/loglevel") => self.set_level(request).await,
            (_, "/livez" | "/readyz" | "/metrics") => refuse_method("GET"),
            (_, "/loglevel") => refuse_method("GET, PUT"),
            _ => text(
                StatusCode::NOT_FOUND,
                "here are /livez, /readyz, /metrics and /loglevel (GET; PUT with the filter as body)",
            ),
        }
    }

    fn expose(&self, request: &Request<Incoming>) -> Answer {
        let accepted = request.headers().get(ACCEPT).and_then(|it| it.to_str().ok());
        let open = accepted.is_some_and(|it| it.contains("application/openmetrics-text"));
        let (exposition, kind) = if open {
            (Exposition::OpenMetrics, OPEN_METRICS)
        } else {
            (Exposition::Prometheus, PROMETHEUS)
        };
        match self.metrics.expose(exposition) {
            Ok(metrics) => answer(StatusCode::OK, kind, metrics),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }

    async fn set_level(&self, request: Request<Incoming>) -> Answer {
        let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect();
        let Ok(body) = timeout(SILENCE_MAX, body).await else {
            return text(StatusCode::REQUEST_TIMEOUT, "the body did not come");
        };
        let body = match body {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                let why = format!("a filter has at most {BODY_BYTES_MAX} bytes");
                return text(StatusCode::PAYLOAD_TOO_LARGE, &why);
            }
            Err(_) => return text(StatusCode::BAD_REQUEST, "the body broke off"),
        };
        let filter = String::from_utf8_lossy(&body);
        let filter = filter.trim();
        if filter.is_empty() {
            return text(StatusCode::BAD_REQUEST, "the body is the filter, `debug` for instance");
        }
        match self.level.set(filter) {
            Ok(()) => {
                tracing::info!(filter, "the log's filter was changed");
                text(StatusCode::OK, &self.level.to_string())
            }
            Err(error) => text(StatusCode::BAD_REQUEST, &error.to_string()),
        }
    }
}

async fn connection(stream: TcpStream, admin: Arc<Admin>) {
    let service = service_fn(|request| {
        let admin = Arc::clone(&admin);
        async move { Ok::<_, Infallible>(admin.answer(request).await) }
    });
    // Whoever breaks off asks again.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SILENCE_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn verdict(outcome: Result<(), String>) -> Answer {
    match outcome {
        Ok(()) => text(StatusCode::OK, "ok"),
        Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, &why),
    }
}

fn refuse_method(allowed: &'static str) -> Answer {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, &format!("allowed here: {allowed}"));
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

fn text(status: StatusCode, line: &str) -> Answer {
    answer(status, TEXT, format!("{line}\n"))
}

fn answer(status: StatusCode, kind: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::from(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
