//! An HTTP server that speaks HTTP/1.1 and HTTP/2 in the clear, bounded in connections, and drains when told to.

use std::{error::Error, io, sync::Arc, time::Duration};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderValue},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use serde::Serialize;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};

/// Open connections; others wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 4_096;
/// A connection whose next request does not come within this time is closed.
const SILENCE_MAX: Duration = Duration::from_mins(2);
/// After a connection that could not be taken.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What orders and runs need, many times.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// An answer of these servers.
pub type Answer = Response<Full<Bytes>>;

/// Answers requests until `stop` resolves, then takes no more connections and lets those that are open end what they
/// are at, for `drain_max` at most. Whether all of them did.
///
/// A request whose answer is an error is not answered: its connection is closed, or its HTTP/2 stream reset.
pub async fn serve<A, F, E>(
    listener: TcpListener,
    answer: A,
    stop: impl Future<Output = ()>,
    drain_max: Duration,
) -> bool
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Answer, E>> + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>> + Send + 'static,
{
    let (graceful, mut connections) = (GracefulShutdown::new(), JoinSet::new());
    let accept = async {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            while connections.try_join_next().is_some() {}
            let Some(stream) = accepted(&listener).await else { continue };
            let (answer, watcher) = (answer.clone(), graceful.watcher());
            connections.spawn(async move {
                let mut builder = auto::Builder::new(TokioExecutor::new());
                builder.http1().timer(TokioTimer::new()).header_read_timeout(SILENCE_MAX);
                let connection = builder.serve_connection(TokioIo::new(stream), service_fn(answer));
                // Connections that break off are what these servers are for.
                let _ = watcher.watch(connection).await;
                drop(place);
            });
        }
    };
    tokio::select! {
        () = stop => {}
        () = accept => {}
    }
    drop(listener);
    timeout(drain_max, graceful.shutdown()).await.is_ok()
}

/// A stream, or a pause if there is none to be had.
async fn accepted(listener: &TcpListener) -> Option<TcpStream> {
    if let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        return Some(stream);
    }
    // Out of file descriptors, most likely: they come back.
    tokio::time::sleep(ACCEPT_PAUSE).await;
    None
}

/// Binds an address; the error says which.
pub async fn bind(address: &str) -> io::Result<TcpListener> {
    let told = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    };
    TcpListener::bind(address).await.map_err(told)
}

/// The body of a request that a person or a test wrote.
pub async fn body(request: Request<Incoming>) -> Result<Bytes, String> {
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await;
    let body = body.map_err(|error| format!("body unreadable or too large: {error}"))?;
    Ok(body.to_bytes())
}

/// An answer in JSON, with a line's end for people.
pub fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    // Maps have text for keys here, and nothing else could fail.
    let mut text = serde_json::to_string(value).unwrap_or_default();
    text.push('\n');
    let mut answer = Response::new(Full::from(text));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// An answer that says what was wrong with a request.
pub fn refusal(status: StatusCode, error: impl Into<String>) -> Answer {
    let error: String = error.into();
    json(status, &serde_json::json!({ "error": error }))
}
