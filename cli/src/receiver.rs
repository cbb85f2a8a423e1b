//! Where the filter's reports arrive: an HTTP server on the loopback interface, open to whoever knows the token.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serin_route::Report;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Where reports are posted.
pub const PATH: &str = "/v1/reports";
/// What one VM reports of the largest table.
const BODY_BYTES_MAX: usize = 16 << 20;
/// Reports that wait to be read: a burst of all VMs, many times.
const WAITING_MAX: usize = 256;
/// Envoy needs one for each of its threads; the rest wait until a place is free.
const CONNECTIONS_MAX: usize = 64;
/// A connection without a request gives up its place after this time.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// After a connection that could not be taken.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A report, and when it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// When its last byte came.
    pub at: Instant,
    /// The report.
    pub report: Report,
}

/// A server for reports. Dropping it closes it.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    token: String,
    arrivals: mpsc::Receiver<Arrival>,
    _server: JoinSet<()>,
}

/// What every connection shares.
struct Gate {
    authorization: String,
    arrivals: mpsc::Sender<Arrival>,
}

impl Receiver {
    /// Listens on a free port of the loopback interface; `token` is what reports must carry.
    pub async fn start(token: &str) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (sender, arrivals) = mpsc::channel(WAITING_MAX);
        let gate = Gate { authorization: format!("Bearer {token}"), arrivals: sender };
        let mut server = JoinSet::new();
        server.spawn(accept(listener, Arc::new(gate)));
        Ok(Self { address, token: token.to_owned(), arrivals, _server: server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What reports must carry.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The next report. May be dropped and called again without loss.
    pub async fn next(&mut self) -> Option<Arrival> {
        self.arrivals.recv().await
    }

    /// A report that is here already.
    pub fn next_now(&mut self) -> Option<Arrival> {
        self.arrivals.try_recv().ok()
    }
}

async fn accept(listener: TcpListener, gate: Arc<Gate>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    // The places are never closed: this goes on until the receiver is dropped.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let gate = Arc::clone(&gate);
                connections.spawn(async move {
                    connection(stream, gate).await;
                    drop(place);
                });
            }
            // Out of file descriptors, most likely: they come back.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn connection(stream: TcpStream, gate: Arc<Gate>) {
    let service = service_fn(|request| {
        let gate = Arc::clone(&gate);
        async move { Ok::<_, Infallible>(respond(gate.receive(request).await)) }
    });
    // Whoever breaks off sends the same counts again with its next report.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SILENCE_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Gate {
    async fn receive(&self, request: Request<Incoming>) -> Result<(), (StatusCode, String)> {
        let refuse = |status, text: &str| Err((status, text.to_owned()));
        if request.uri().path() != PATH {
            return refuse(StatusCode::NOT_FOUND, "reports are posted to /v1/reports");
        }
        if request.method() != Method::POST {
            return refuse(StatusCode::METHOD_NOT_ALLOWED, "reports are posted");
        }
        let presented = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
        if presented != Some(self.authorization.as_bytes()) {
            return refuse(
                StatusCode::UNAUTHORIZED,
                "the bearer token is missing or not this run's",
            );
        }
        let body = match Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                let text = format!("a report has at most {BODY_BYTES_MAX} bytes");
                return Err((StatusCode::PAYLOAD_TOO_LARGE, text));
            }
            Err(_) => return refuse(StatusCode::BAD_REQUEST, "the body broke off"),
        };
        let report =
            Report::parse(&body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
        self.arrivals.try_send(Arrival { at: Instant::now(), report }).map_err(|_| {
            let text = "more reports wait than can be read; send again";
            (StatusCode::SERVICE_UNAVAILABLE, text.to_owned())
        })
    }
}

fn respond(received: Result<(), (StatusCode, String)>) -> Response<Full<Bytes>> {
    let (status, text) = match received {
        // The body of an answer is reserved: the filter must not learn to read it.
        Ok(()) => (StatusCode::OK, String::new()),
        Err((status, text)) => (status, format!("{text}\n")),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http;

    const EMPTY: &str = r#"{"version":1,"scope":"local","proxy":"p","boot":"0123456789abcdef",
        "sequence":1,"rollouts":[]}"#;

    async fn post(receiver: &Receiver, path: &str, token: &str, body: Vec<u8>) -> (u16, String) {
        let request = Request::post(path)
            .header("host", "serin-telemetry")
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .body(Full::from(body))
            .unwrap();
        let stream = TcpStream::connect(receiver.address()).await.unwrap();
        let answer = http::send(stream, request, 1 << 16).await.unwrap();
        (answer.status.as_u16(), String::from_utf8(answer.body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_report_arrives_once_and_everything_else_is_refused_with_its_reason() {
        let mut receiver = Receiver::start("secret").await.unwrap();
        let good = || EMPTY.as_bytes().to_vec();
        assert_eq!(post(&receiver, PATH, "secret", good()).await, (200, String::new()));
        assert_eq!(receiver.next_now().map(|arrival| arrival.report.sequence), Some(1));
        assert_eq!(post(&receiver, PATH, "guess", good()).await.0, 401);
        assert_eq!(post(&receiver, "/", "secret", good()).await.0, 404);
        let (status, text) = post(&receiver, PATH, "secret", b"{".to_vec()).await;
        assert_eq!(status, 400);
        assert!(text.starts_with("not a report"), "{text}");
        assert_eq!(receiver.next_now(), None);
    }

    #[tokio::test]
    async fn a_flood_is_turned_away_and_nothing_accepted_is_lost() {
        let mut receiver = Receiver::start("secret").await.unwrap();
        let mut accepted = 0;
        for _ in 0..WAITING_MAX + 3 {
            let (status, _) = post(&receiver, PATH, "secret", EMPTY.as_bytes().to_vec()).await;
            assert!(status == 200 || status == 503, "{status}");
            accepted += usize::from(status == 200);
        }
        assert_eq!(accepted, WAITING_MAX);
        let read = std::iter::from_fn(|| receiver.next_now()).count();
        assert_eq!(read, WAITING_MAX);
    }

    /// Time stands still until nobody can go on: what passes is what was waited for.
    #[tokio::test(start_paused = true)]
    async fn silent_connections_hold_up_others_for_a_bounded_time() {
        let receiver = Receiver::start("secret").await.unwrap();
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            silent.push(TcpStream::connect(receiver.address()).await.unwrap());
        }
        let began = Instant::now();
        let (status, _) = post(&receiver, PATH, "secret", EMPTY.as_bytes().to_vec()).await;
        assert_eq!(status, 200);
        assert!(began.elapsed() >= SILENCE_MAX, "all places were taken: {:?}", began.elapsed());
    }
}
