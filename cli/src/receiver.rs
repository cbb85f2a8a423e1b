//! Where the filter's reports arrive: on the loopback interface, open to whoever knows the token.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use serin_receiver::{Arrival, Denial, Desk, Peers, Server, Settings};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Reports that wait to be read: a burst of all VMs, many times.
const WAITING_MAX: usize = 256;
/// Envoy needs one for each of its threads.
const CONNECTIONS_MAX: usize = 64;

/// A server for reports. Dropping it closes it.
#[derive(Debug)]
pub struct Receiver {
    token: String,
    arrivals: mpsc::Receiver<Arrival>,
    server: Server,
}

/// One token, and a queue behind it.
struct Queue {
    token: String,
    arrivals: mpsc::Sender<Arrival>,
}

impl Receiver {
    /// Listens on a free port of the loopback interface; `token` is what reports must carry.
    pub async fn start(token: &str) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (sender, arrivals) = mpsc::channel(WAITING_MAX);
        let token = token.to_owned();
        let queue = Queue { token: token.clone(), arrivals: sender };
        let settings = Settings { connections: CONNECTIONS_MAX, peers: Peers::Unknown };
        let server = Server::start(listener, Arc::new(queue), settings)?;
        Ok(Self { token, arrivals, server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
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

impl Desk for Queue {
    type Pass = ();

    fn admit(&self, token: Option<&str>) -> Result<(), Denial> {
        let known = token == Some(self.token.as_str());
        let why = "the bearer token is missing or not this run's";
        known.then_some(()).ok_or_else(|| Denial::stranger(why))
    }

    fn take(&self, (): (), arrival: Arrival) -> Result<(), Denial> {
        let why = "more reports wait than can be read; send again";
        self.arrivals.try_send(arrival).map_err(|_| Denial::unavailable(why))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use hyper::Request;
    use hyper::header::AUTHORIZATION;
    use serin_receiver::PATH;
    use tokio::net::TcpStream;

    use super::*;
    use crate::http;

    const EMPTY: &str = r#"{"version":1,"scope":"local","proxy":"p","boot":"0123456789abcdef",
        "sequence":1,"rollouts":[]}"#;

    async fn post(receiver: &Receiver, token: &str) -> (u16, String) {
        let request = Request::post(PATH)
            .header("host", "serin-telemetry")
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .body(Full::from(EMPTY))
            .unwrap();
        let stream = TcpStream::connect(receiver.address()).await.unwrap();
        let answer = http::send(stream, request, 1 << 16).await.unwrap();
        (answer.status.as_u16(), String::from_utf8(answer.body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_report_with_the_token_arrives_once_and_no_other() {
        let mut receiver = Receiver::start("secret").await.unwrap();
        assert_eq!(post(&receiver, "secret").await, (200, String::new()));
        assert_eq!(receiver.next_now().map(|arrival| arrival.report.sequence), Some(1));
        assert_eq!(post(&receiver, "guess").await.0, 401);
        assert_eq!(receiver.next_now(), None);
    }

    #[tokio::test]
    async fn a_flood_is_turned_away_and_nothing_accepted_is_lost() {
        let mut receiver = Receiver::start("secret").await.unwrap();
        let mut accepted = 0;
        for _ in 0..WAITING_MAX + 3 {
            let (status, _) = post(&receiver, "secret").await;
            assert!(status == 200 || status == 503, "{status}");
            accepted += usize::from(status == 200);
        }
        assert_eq!(accepted, WAITING_MAX);
        let read = std::iter::from_fn(|| receiver.next_now()).count();
        assert_eq!(read, WAITING_MAX);
    }
}
