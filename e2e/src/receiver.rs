//! A receiver of reports that can be good, bad, slow, or gone, and keeps whatever it was sent.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    header::AUTHORIZATION,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serin_route::Report;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use crate::totals::Totals;

/// The token that good reports carry.
pub const TOKEN: &str = "reports-of-this-bed";
/// Where reports go.
pub const PATH: &str = "/v1/report";

/// How a receiver behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Answers 200 to good reports, 401 without the token, 400 to bad ones.
    Accept,
    /// Answers with that status.
    Refuse(u16),
    /// Answers 200 with a body that means nothing.
    Babble,
    /// Accepts after that time.
    Slow(Duration),
    /// Takes the report and never answers.
    Hang,
    /// Does not listen at all; connections are closed.
    Gone,
}

/// A report that arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// When.
    pub at: Instant,
    /// What.
    pub report: Report,
    /// The status that it was answered with; none if it was not.
    pub answered: Option<u16>,
}

/// A running receiver; it stops when dropped.
pub struct Receiver {
    address: SocketAddr,
    state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
}

struct State {
    manner: watch::Sender<Manner>,
    received: Mutex<Vec<Received>>,
    /// Bodies that are no reports, and requests without the token.
    strange: Mutex<Vec<String>>,
}

impl Receiver {
    /// Starts one.
    pub async fn start() -> Result<Self> {
        let listener =
            TcpListener::bind("127.0.0.1:0").await.context("no port for the receiver")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            manner: watch::Sender::new(Manner::Accept),
            received: Mutex::default(),
            strange: Mutex::default(),
        });
        let task = tokio::spawn(run(listener, address, Arc::clone(&state)));
        Ok(Self { address, state, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Behaves so from now on.
    pub fn behave(&self, manner: Manner) {
        self.state.manner.send_replace(manner);
    }

    /// Everything that was received, in order.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.state.received).clone()
    }

    /// What was sent to it and was no good report.
    pub fn strange(&self) -> Vec<String> {
        lock(&self.state.strange).clone()
    }

    /// The sum of what was answered with 200, as a judge would count it.
    pub fn totals(&self) -> Totals {
        let received = lock(&self.state.received);
        Totals::of(received.iter().filter(|it| it.answered == Some(200)).map(|it| &it.report))
    }

    /// The sum of everything that arrived, answered or not.
    pub fn totals_of_all(&self) -> Totals {
        Totals::of(lock(&self.state.received).iter().map(|it| &it.report))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Listens except while it is to be gone; then nothing of it is left, as after a crash.
async fn run(listener: TcpListener, address: SocketAddr, state: Arc<State>) {
    let mut manner = state.manner.subscribe();
    let mut first = Some(listener);
    loop {
        let listener = match first.take() {
            Some(listener) => listener,
            None => rebound(address).await,
        };
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                Ok((stream, _)) = listener.accept() => {
                    connections.spawn(serve(stream, Arc::clone(&state)));
                }
                _ = manner.wait_for(|manner| *manner == Manner::Gone) => break,
            }
        }
        drop(listener);
        connections.shutdown().await;
        if manner.wait_for(|manner| *manner != Manner::Gone).await.is_err() {
            return;
        }
    }
}

/// Listens again where it did before, as soon as the system lets it.
async fn rebound(address: SocketAddr) -> TcpListener {
    loop {
        if let Ok(listener) = TcpListener::bind(address).await {
            return listener;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    let answer = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { state.take(request).await }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

impl State {
    async fn take(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let token = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let known = token == Some(format!("Bearer {TOKEN}").as_str());
        let report = serde_json::from_slice::<Report>(&body);
        let place = (head.method.as_str(), head.uri.path());
        let (report, known) = match (report, known, place) {
            (Ok(report), known, ("POST", PATH)) => (report, known),
            (read, ..) => {
                let text = String::from_utf8_lossy(&body);
                let line = format!("{} {}: {text} ({:?})", place.0, place.1, read.err());
                lock(&self.strange).push(line);
                return answer(400, "no report");
            }
        };
        if !known {
            lock(&self.strange).push(format!("a report with token {token:?}"));
        }
        let index = self.keep(report);
        let manner = *self.manner.borrow();
        let (status, body) = match manner {
            _ if !known => (401, ""),
            Manner::Accept => (200, ""),
            Manner::Refuse(status) => (status, "no"),
            Manner::Babble => (200, "\u{0}\u{1}{\"rollouts\": [[[[ not for you"),
            Manner::Slow(time) => {
                tokio::time::sleep(time).await;
                (200, "")
            }
            Manner::Hang | Manner::Gone => std::future::pending().await,
        };
        if let Some(received) = lock(&self.received).get_mut(index) {
            received.answered = Some(status);
        }
        answer(status, body)
    }

    fn keep(&self, report: Report) -> usize {
        let mut received = lock(&self.received);
        received.push(Received { at: Instant::now(), report, answered: None });
        received.len() - 1
    }
}

fn answer(status: u16, body: &'static str) -> Result<Response<Full<Bytes>>> {
    Ok(Response::builder().status(status).body(Full::from(body))?)
}
