//! A server that says what it was told to say, whatever it is asked, to everybody, and closes.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

pub(crate) struct Server {
    task: JoinHandle<()>,
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone)]
enum Manner {
    /// At once; where `HOST` stands, its own address.
    Say(Vec<u8>),
    /// A head, and then so many bytes.
    Pour(Vec<u8>, usize),
    /// A byte every now and then, for ever.
    Drip(Vec<u8>),
}

impl Server {
    pub(crate) async fn saying(bytes: &[u8]) -> Self {
        Self::start(Manner::Say(bytes.to_vec()), None).await
    }

    pub(crate) async fn pouring(head: &[u8], bytes: usize) -> Self {
        Self::start(Manner::Pour(head.to_vec(), bytes), None).await
    }

    pub(crate) async fn dripping(head: &[u8]) -> Self {
        Self::start(Manner::Drip(head.to_vec()), None).await
    }

    /// As [`Self::saying`], behind TLS.
    pub(crate) async fn saying_in_private(bytes: &[u8], acceptor: TlsAcceptor) -> Self {
        Self::start(Manner::Say(bytes.to_vec()), Some(acceptor)).await
    }

    async fn start(manner: Manner, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, tls.clone(), manner.clone(), Arc::clone(&log)));
            }
        });
        Self { task, port, heard }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What it was asked, in order.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("no panic").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    manner: Manner,
    log: Arc<Mutex<Vec<String>>>,
) {
    match tls {
        None => talk(stream, manner, &log).await,
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                talk(stream, manner, &log).await;
            }
        }
    }
}

async fn talk<S>(mut stream: S, manner: Manner, log: &Mutex<Vec<String>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = vec![0; 8192];
    let read = stream.read(&mut request).await.unwrap_or(0);
    log.lock().expect("no panic").push(String::from_utf8_lossy(&request[..read]).into_owned());
    // A caller may go away at any moment.
    match manner {
        Manner::Say(bytes) => drop(stream.write_all(&bytes).await),
        Manner::Pour(head, bytes) => {
            drop(stream.write_all(&head).await);
            drop(stream.write_all(&vec![b'x'; bytes]).await);
        }
        Manner::Drip(head) => {
            drop(stream.write_all(&head).await);
            while stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    drop(stream.shutdown().await);
}
