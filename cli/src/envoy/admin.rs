//! Envoy's admin interface on its Unix socket.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request};
use serde_json::Value;
use tokio::net::UnixStream;

use crate::http::{self, HttpError};

/// A config dump with thousands of routes stays below this.
const BODY_BYTES_MAX: usize = 64 << 20;
/// Envoy's main thread compiles the module meanwhile.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Envoy's admin interface.
#[derive(Clone, Debug)]
pub struct Admin {
    socket: PathBuf,
    patience: Duration,
}

impl Admin {
    /// The interface at a socket.
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned(), patience: TIMEOUT }
    }

    /// The same, for somebody who waits no longer than this.
    #[must_use]
    pub fn within(&self, patience: Duration) -> Self {
        Self { patience, ..self.clone() }
    }

    /// The body of an answer with status 200; an error says anything else.
    pub async fn get(&self, path: &str) -> Result<String, String> {
        self.call(Method::GET, path).await
    }

    /// As [`Admin::get`], for what changes something.
    pub async fn post(&self, path: &str) -> Result<String, String> {
        self.call(Method::POST, path).await
    }

    /// Every worker serves.
    pub async fn ready(&self) -> bool {
        self.get("/ready").await.is_ok()
    }

    /// A counter or gauge by its full name; none if there is no such thing.
    pub async fn stat(&self, name: &str) -> Option<u64> {
        let text = self.get(&format!("/stats?filter=^{name}$")).await.ok()?;
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.parse().ok())
    }

    /// Where the listener of this name really listens.
    pub async fn listener(&self, name: &str) -> Option<SocketAddr> {
        let text = self.get("/listeners?format=json").await.ok()?;
        let listeners: Value = serde_json::from_str(&text).ok()?;
        let listener = listeners
            .get("listener_statuses")?
            .as_array()?
            .iter()
            .find(|listener| listener.get("name").and_then(Value::as_str) == Some(name))?;
        let at = listener.pointer("/local_address/socket_address")?;
        let port = u16::try_from(at.get("port_value")?.as_u64()?).ok()?;
        Some(SocketAddr::new(at.get("address")?.as_str()?.parse().ok()?, port))
    }

    async fn call(&self, method: Method, path: &str) -> Result<String, String> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "envoy")
            .body(Full::<Bytes>::default())
            .map_err(|error| error.to_string())?;
        let exchange = async {
            let stream = UnixStream::connect(&self.socket).await.map_err(HttpError::from)?;
            http::send(stream, request, BODY_BYTES_MAX).await
        };
        let answer = tokio::time::timeout(self.patience, exchange)
            .await
            .map_err(|_| format!("no answer within {} s", self.patience.as_secs()))?
            .map_err(|error| error.to_string())?;
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        if answer.status.is_success() { Ok(body) } else { Err(body) }
    }
}
