//! The server against clients of every kind: over both versions of HTTP, without a token, with too much to say, and
//! with nothing to say at all.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::header::AUTHORIZATION;
use hyper::{Method, Request, client::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serin_receiver::{Arrival, Denial, Desk, PATH, Peers, Server, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

const EMPTY: &str = r#"{"version":1,"scope":"namespace/shop","proxy":"p","namespace":"shop",
    "boot":"0123456789abcdef","sequence":1,"rollouts":[]}"#;
/// Longer than a connection may be silent.
const SILENCE: Duration = Duration::from_secs(30);

/// Takes what carries the token, and forbids a namespace that is not the peer's.
#[derive(Default)]
struct Book(Mutex<Vec<Arrival>>);

impl Desk for Book {
    type Pass = ();

    fn admit(&self, token: Option<&str>) -> Result<(), Denial> {
        let known = token == Some("secret");
        known.then_some(()).ok_or_else(|| Denial::stranger("no such token"))
    }

    fn take(&self, (): (), arrival: Arrival) -> Result<(), Denial> {
        let theirs = |peer: &serin_receiver::Peer| peer.namespace == arrival.report.namespace;
        if !arrival.peer.as_ref().is_none_or(theirs) {
            return Err(Denial::forbidden("of another namespace"));
        }
        self.0.lock().unwrap().push(arrival);
        Ok(())
    }
}

struct Bed {
    server: Server,
    book: Arc<Book>,
}

impl Bed {
    async fn new(connections: usize, peers: Peers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let book = Arc::new(Book::default());
        let settings = Settings { connections, peers };
        let server = Server::start(listener, Arc::clone(&book), settings).unwrap();
        Self { server, book }
    }

    async fn stream(&self) -> TcpStream {
        TcpStream::connect(self.server.address()).await.unwrap()
    }

    async fn post(&self, request: Request<Full<Bytes>>) -> (u16, String) {
        let io = TokioIo::new(self.stream().await);
        let (mut sender, connection) = conn::http1::handshake(io).await.unwrap();
        let driver = tokio::spawn(connection);
        let answer = sender.send_request(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        driver.abort();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    fn taken(&self) -> usize {
        self.book.0.lock().unwrap().len()
    }
}

fn report(body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let request =
        Request::post(PATH).header("host", "serin").header(AUTHORIZATION, "Bearer secret");
    request.body(Full::new(body.into())).unwrap()
}

#[tokio::test]
async fn a_report_is_taken_once_and_everything_else_is_refused_with_its_reason() {
    let bed = Bed::new(8, Peers::Unknown).await;
    assert_eq!(bed.post(report(EMPTY)).await, (200, String::new()));
    assert_eq!(bed.taken(), 1);
    let mut refused = Vec::new();
    for alter in [
        |it: &mut Request<_>| drop(it.headers_mut().remove(AUTHORIZATION)),
        |it: &mut Request<_>| {
            drop(it.headers_mut().insert(AUTHORIZATION, "Bearer x".parse().unwrap()));
        },
        |it: &mut Request<_>| {
            drop(it.headers_mut().insert(AUTHORIZATION, "secret".parse().unwrap()));
        },
        |it: &mut Request<_>| *it.uri_mut() = "/".parse().unwrap(),
        |it: &mut Request<_>| *it.method_mut() = Method::PUT,
        |it: &mut Request<_>| *it.body_mut() = Full::from("{"),
    ] {
        let mut request = report(EMPTY);
        alter(&mut request);
        refused.push(bed.post(request).await);
    }
    let statuses: Vec<_> = refused.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [401, 401, 401, 404, 405, 400]);
    assert!(refused[5].1.starts_with("not a report"), "{}", refused[5].1);
    assert!(refused.iter().all(|(_, why)| why.ends_with('\n') && why.len() > 5), "{refused:?}");
    assert_eq!(bed.taken(), 1);
}

/// A sidecar in front of us may speak either version.
#[tokio::test]
async fn reports_come_over_http_2_too_many_on_one_connection() {
    let bed = Bed::new(1, Peers::Unknown).await;
    let io = TokioIo::new(bed.stream().await);
    let (sender, connection) = conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let driver = tokio::spawn(connection);
    let mut all = Vec::new();
    for _ in 0..20 {
        let mut sender = sender.clone();
        let mut request = report(EMPTY);
        *request.uri_mut() = format!("http://serin{PATH}").parse().unwrap();
        all.push(tokio::spawn(async move { sender.send_request(request).await.unwrap().status() }));
    }
    for answer in all {
        assert_eq!(answer.await.unwrap(), 200);
    }
    driver.abort();
    assert_eq!(bed.taken(), 20);
}

#[tokio::test]
async fn a_peer_speaks_for_its_own_namespace_where_a_sidecar_knows_it() {
    let of = |namespace: &str| {
        let mut request = report(EMPTY);
        let value = format!("URI=spiffe://cluster.local/ns/{namespace}/sa/default");
        request.headers_mut().insert("x-forwarded-client-cert", value.parse().unwrap());
        request
    };
    let bed = Bed::new(8, Peers::BySidecar).await;
    assert_eq!(bed.post(of("shop")).await.0, 200);
    assert_eq!(bed.post(of("bank")).await.0, 403);
    assert_eq!(bed.post(report(EMPTY)).await.0, 200, "plain text: nobody is known");
    let bed = Bed::new(8, Peers::Unknown).await;
    assert_eq!(bed.post(of("bank")).await.0, 200, "a header that anybody may write");
}

#[tokio::test]
async fn what_is_too_large_is_not_read() {
    let bed = Bed::new(8, Peers::Unknown).await;
    let mut stream = bed.stream().await;
    let length = (16 << 20) + 1;
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: serin\r\nauthorization: Bearer secret\r\n\
         content-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    // Neither is it where nobody says so before.
    let chunk = vec![b' '; 1 << 20];
    let mut stream = bed.stream().await;
    let head = head.replace(&format!("content-length: {length}"), "transfer-encoding: chunked");
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..17 {
        // The server may have hung up already.
        let _ = stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await;
        let _ = stream.write_all(&chunk).await;
        let _ = stream.write_all(b"\r\n").await;
    }
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    assert_eq!(bed.taken(), 0);
}

/// Time stands still until nobody can go on: what passes is what was waited for.
#[tokio::test(start_paused = true)]
async fn silent_connections_hold_up_others_for_a_bounded_time() {
    for preface in [&b""[..], b"POST", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let bed = Bed::new(3, Peers::Unknown).await;
        let mut silent = Vec::new();
        for _ in 0..3 {
            let mut stream = bed.stream().await;
            stream.write_all(preface).await.unwrap();
            silent.push(stream);
        }
        let began = Instant::now();
        assert_eq!(bed.post(report(EMPTY)).await.0, 200);
        let waited = began.elapsed();
        assert!(waited >= SILENCE && waited < 2 * SILENCE, "{waited:?} for {preface:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    let bed = Bed::new(1, Peers::Unknown).await;
    let mut stream = bed.stream().await;
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: serin\r\nauthorization: Bearer secret\r\n\
         content-length: 100\r\n\r\n{{"
    );
    let began = Instant::now();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert!(began.elapsed() < SILENCE);
}
