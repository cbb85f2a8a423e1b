//! One HTTP exchange, bounded in size and time, and all of them in number. Redirects are followed as Flagger's do,
//! ten at most, and carry no credentials to another host; connections are not kept, so that no server's silence
//! about an old one becomes the answer to a hook.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, RequestBuilder, StatusCode};
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// A Prometheus answers with one number, a webhook with a line; more is a mistake.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Exchanges of questions at the same time, for all releases; the rest wait. Most of them only wait for a gate.
const QUESTIONS_MAX: usize = 512;
/// Exchanges of events likewise. They have their own measure, so that nobody's silence delays a question.
const EVENTS_MAX: usize = 64;

/// What all releases of a process ask and tell through.
#[derive(Clone, Debug)]
pub struct Network {
    pub(crate) questions: Transport,
    pub(crate) events: Transport,
}

/// Nothing can be asked.
#[derive(Debug, Error)]
#[error("no HTTP client: {0}")]
pub struct NetworkError(#[from] reqwest::Error);

/// The clients, and how many exchanges they may have at the same time.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    strict: Client,
    lax: Client,
    permits: Arc<Semaphore>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    /// What the server wants to be left alone for.
    pub(crate) retry_after: Option<Duration>,
    body: Vec<u8>,
}

/// Why nothing did.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Asking again may help.
    Passing(String),
    /// It will not.
    Final(String),
}

impl Network {
    /// With the certificate authorities of the system, or of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    pub fn new() -> Result<Self, NetworkError> {
        // An earlier one is the process's choice.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let strict = match client().build() {
            Ok(client) => client,
            Err(error) => {
                let why = cause(&error);
                tracing::warn!(why, "no certificate authorities: https is asked in vain");
                client().tls_certs_only([]).build()?
            }
        };
        let lax = client().tls_danger_accept_invalid_certs(true).build()?;
        let transport = |most| {
            let permits = Arc::new(Semaphore::new(most));
            Transport { strict: strict.clone(), lax: lax.clone(), permits }
        };
        Ok(Self { questions: transport(QUESTIONS_MAX), events: transport(EVENTS_MAX) })
    }
}

fn client() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("serin/", env!("CARGO_PKG_VERSION")))
        .pool_max_idle_per_host(0)
        .retry(reqwest::retry::never())
        .referer(false)
        // What is asked is near, and a proxy for the world outside would not find it.
        .no_proxy()
}

impl Transport {
    /// The client that accepts any certificate, or the one that does not.
    pub(crate) const fn client(&self, insecure: bool) -> &Client {
        if insecure { &self.lax } else { &self.strict }
    }

    /// Sends a request when it is its turn; then all of it must be over within `limit`.
    pub(crate) async fn send(
        &self,
        request: RequestBuilder,
        limit: Duration,
    ) -> Result<Reply, Failure> {
        let _permit = self.permits.acquire().await;
        let overdue = |_| Failure::Passing(format!("no answer within {} s", limit.as_secs_f64()));
        timeout(limit, exchange(request)).await.map_err(overdue)?
    }
}

async fn exchange(request: RequestBuilder) -> Result<Reply, Failure> {
    let mut response = request.send().await?;
    let (status, retry_after) = (response.status(), retry_after(response.headers()));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len().saturating_add(chunk.len()) > BODY_BYTES_MAX {
            return Err(Failure::Final(format!("answer larger than {BODY_BYTES_MAX} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply { status, retry_after, body })
}

impl Reply {
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The beginning of the body, on one line; the status, if there is none.
    pub(crate) fn excerpt(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let words: Vec<&str> = text.split_whitespace().take(300).collect();
        let text: String = words.join(" ").chars().take(300).collect();
        if text.is_empty() { self.status.to_string() } else { text }
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        let why = cause(&error);
        if error.is_builder() || error.is_redirect() {
            Self::Final(format!("request failed: {why}"))
        } else if error.is_connect() {
            Self::Passing(format!("connection failed: {why}"))
        } else {
            Self::Passing(format!("request failed: {why}"))
        }
    }
}

impl From<Failure> for String {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Passing(text) | Failure::Final(text) => text,
        }
    }
}

/// What lies at the bottom of an error; above it is said where in the client it came up.
fn cause(error: &reqwest::Error) -> String {
    let mut source = error.source();
    let mut text = error.to_string();
    while let Some(inner) = source {
        (text, source) = (inner.to_string(), inner.source());
    }
    text
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
