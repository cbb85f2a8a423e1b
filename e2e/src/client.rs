//! A client whose every byte is known: HTTP/1.1 with kept connections, HTTP/2 for gRPC, upgrades, and bad manners.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Method, Request, Response,
    body::{Bytes, Incoming},
    client::conn::{http1, http2},
    header::{HOST, HeaderName, HeaderValue},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serin_route::Track;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::PATIENCE;

type Sender = http1::SendRequest<Full<Bytes>>;

/// A client of one Envoy.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    idle: Arc<Mutex<Vec<Sender>>>,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Ask {
    method: Method,
    host: String,
    path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The trailers.
    pub trailers: HeaderMap,
    /// The body, as far as it came.
    pub body: Bytes,
    /// The connection broke before the body's end.
    pub cut: bool,
}

impl Ask {
    /// A GET.
    pub fn get(host: &str, path: &str) -> Self {
        Self {
            method: Method::GET,
            host: host.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// With another method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = method.parse().expect("a method");
        self
    }

    /// With one more header, of any bytes that a header may hold.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let name = name.parse().expect("a header's name");
        self.headers.push((name, HeaderValue::from_bytes(value.as_ref()).expect("a value")));
        self
    }

    /// With a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// With an order to the upstream (see [`crate::upstream`]).
    #[must_use]
    pub fn act(self, act: &str) -> Self {
        self.header(crate::upstream::ACT_HEADER, act)
    }

    fn to_http1(&self) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::builder().method(self.method.clone()).uri(&self.path);
        request = request.header(HOST, &self.host);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        Ok(request.body(Full::new(self.body.clone()))?)
    }

    fn to_http2(&self) -> Result<Request<Full<Bytes>>> {
        let uri = format!("http://{}{}", self.host, self.path);
        let mut request = Request::builder().method(self.method.clone()).uri(uri);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        Ok(request.body(Full::new(self.body.clone()))?)
    }
}

impl Answer {
    /// The upstream's name, if an upstream answered.
    pub fn served_by(&self) -> Option<&str> {
        self.headers.get(crate::upstream::NAME_HEADER)?.to_str().ok()
    }

    /// Which track's upstream answered: the end of its name.
    pub fn track(&self) -> Option<Track> {
        match self.served_by()?.rsplit('-').next()? {
            "primary" => Some(Track::Primary),
            "canary" => Some(Track::Canary),
            _ => None,
        }
    }

    /// Whether the canary answered; an error if no track did.
    pub fn by_canary(&self) -> Result<bool> {
        let track = self.track().with_context(|| format!("no track answered: {self:?}"))?;
        Ok(track == Track::Canary)
    }

    async fn read(response: Response<Incoming>) -> Self {
        let (head, mut incoming) = response.into_parts();
        let (mut body, mut trailers, mut cut) = (Vec::new(), HeaderMap::new(), false);
        while let Some(frame) = incoming.frame().await {
            match frame.map(hyper::body::Frame::into_data) {
                Ok(Ok(data)) => body.extend_from_slice(&data),
                Ok(Err(other)) => trailers = other.into_trailers().unwrap_or_default(),
                Err(_) => {
                    cut = true;
                    break;
                }
            }
        }
        let status = head.status.as_u16();
        Self { status, headers: head.headers, trailers, body: body.into(), cut }
    }
}

impl Client {
    /// A client of whatever listens there.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, idle: Arc::default() }
    }

    /// Sends over HTTP/1.1, on a kept connection if there is one.
    pub async fn send(&self, ask: &Ask) -> Result<Answer> {
        let exchange = async {
            let mut sender = self.sender().await?;
            let response = sender.send_request(ask.to_http1()?).await?;
            let answer = Answer::read(response).await;
            if !answer.cut {
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
            }
            anyhow::Ok(answer)
        };
        tokio::time::timeout(PATIENCE, exchange).await.context("no answer in time")?
    }

    /// Sends over HTTP/2 in the clear, on a connection of its own.
    pub async fn send_http2(&self, ask: &Ask) -> Result<Answer> {
        let exchange = async {
            let stream = TcpStream::connect(self.address).await?;
            let io = TokioIo::new(stream);
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
            tokio::spawn(connection);
            anyhow::Ok(Answer::read(sender.send_request(ask.to_http2()?).await?).await)
        };
        tokio::time::timeout(PATIENCE, exchange).await.context("no answer in time")?
    }

    /// A gRPC call without a message.
    pub async fn call(&self, ask: Ask) -> Result<Answer> {
        let ask = ask.method("POST").header("content-type", "application/grpc");
        self.send_http2(&ask.header("te", "trailers")).await
    }

    /// Sends, waits, and hangs up whether or not there was an answer.
    pub async fn abandon(&self, ask: &Ask, after: Duration) -> Result<()> {
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let response = tokio::time::timeout(after, sender.send_request(ask.to_http1()?)).await;
        connection.abort();
        match response {
            Ok(Ok(response)) => bail!("answered with {} before the client left", response.status()),
            _ => Ok(()),
        }
    }

    /// Upgrades to a WebSocket as far as HTTP is concerned, exchanges a word, closes.
    pub async fn upgrade(&self, ask: Ask, stay: Duration) -> Result<u16> {
        let ask = ask
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection.with_upgrades());
        let response = sender.send_request(ask.to_http1()?).await?;
        let status = response.status().as_u16();
        let mut io = TokioIo::new(hyper::upgrade::on(response).await?);
        io.write_all(b"ping").await?;
        let mut echo = [0; 4];
        io.read_exact(&mut echo).await?;
        ensure!(&echo == b"ping", "the echo was {echo:?}");
        tokio::time::sleep(stay).await;
        Ok(status)
    }

    /// Sends bytes as they are and reads until the other side closes or is silent for a second.
    pub async fn raw(&self, bytes: &[u8]) -> Result<String> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(bytes).await?;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let _ = tokio::time::timeout(Duration::from_secs(1), read).await;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    async fn sender(&self) -> Result<Sender> {
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut sender) = idle else { break };
            // One that Envoy closed meanwhile is never ready again.
            if !sender.is_closed() && sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}
