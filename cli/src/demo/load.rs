//! Load that does not wait for answers: a slow version gets as many requests as a quick one, as from the world outside.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::app::{FAULT_HEADER, VERSION_HEADER};
use super::dice::Dice;

/// Requests under way at a steady rate, counted.
#[derive(Debug)]
pub(crate) struct Load {
    tally: Arc<Mutex<Tally>>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

/// What became of requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Answered or failed.
    pub(crate) requests: u64,
    /// Failed on purpose, as the answer says.
    pub(crate) failed_by_app: u64,
    /// Failed for any other reason.
    pub(crate) failed_otherwise: u64,
    /// What the other reasons were.
    pub(crate) reasons: BTreeMap<String, u64>,
    /// Answers by version.
    pub(crate) versions: BTreeMap<String, u64>,
}

/// Counts by the period in which requests were sent.
#[derive(Debug, Default)]
struct Tally {
    periods: Vec<Period>,
}

#[derive(Clone, Debug, Default)]
struct Period {
    sent: u64,
    counts: Counts,
}

/// What became of one request.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Served,
    FailedByApp,
    FailedOtherwise(String),
}

type Http = Client<HttpConnector, Full<Bytes>>;

/// Longer than any fault of the app's lasts; what takes longer is stuck.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The share of requests that carry a user's key.
const KEYED: f64 = 0.2;
/// How many users have one.
pub(crate) const USERS: u64 = 200;
/// What is asked for, as shares of one.
const MIX: [(f64, &str, &str); 3] =
    [(0.55, "GET", "/"), (0.3, "GET", "/api/cart"), (0.15, "POST", "/checkout")];

impl Load {
    /// Starts to send `rate` requests per second to an address.
    pub(crate) fn start(to: SocketAddr, rate: f64, seed: u64) -> Self {
        let tally = Arc::new(Mutex::new(Tally { periods: vec![Period::default()] }));
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(send(to, rate, Dice::new(seed), Arc::clone(&tally), stopped));
        Self { tally, stop, running }
    }

    /// Ends a period: requests sent from now on are counted apart. Gives the counts of the old one when all its
    /// requests have been answered.
    pub(crate) async fn end_period(&self) -> Counts {
        let ended = {
            let mut tally = lock(&self.tally);
            tally.periods.push(Period::default());
            tally.periods.len() - 2
        };
        loop {
            let period = self.period(ended);
            if period.counts.requests >= period.sent {
                return period.counts;
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until so many requests of the present period have been answered.
    pub(crate) async fn answered(&self, requests: u64) {
        let present = lock(&self.tally).periods.len() - 1;
        while self.period(present).counts.requests < requests {
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sends nothing more, waits for the answers, and gives the counts of all periods together.
    pub(crate) async fn stop(self) -> Counts {
        let _ = self.stop.send(());
        let _ = self.running.await;
        let mut sum = Counts::default();
        for period in &lock(&self.tally).periods {
            sum.add(&period.counts);
        }
        sum
    }

    fn period(&self, number: usize) -> Period {
        lock(&self.tally).periods.get(number).cloned().unwrap_or_default()
    }
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failed_by_app += other.failed_by_app;
        self.failed_otherwise += other.failed_otherwise;
        for (reason, count) in &other.reasons {
            *self.reasons.entry(reason.clone()).or_default() += count;
        }
        for (version, count) in &other.versions {
            *self.versions.entry(version.clone()).or_default() += count;
        }
    }

    fn count(&mut self, fate: Fate, version: Option<String>) {
        self.requests += 1;
        if let Some(version) = version {
            *self.versions.entry(version).or_default() += 1;
        }
        match fate {
            Fate::Served => {}
            Fate::FailedByApp => self.failed_by_app += 1,
            Fate::FailedOtherwise(reason) => {
                self.failed_otherwise += 1;
                *self.reasons.entry(reason).or_default() += 1;
            }
        }
    }
}

/// Poisson arrivals: each request is sent when its time has come, whatever became of those before.
async fn send(
    to: SocketAddr,
    rate: f64,
    dice: Dice,
    tally: Arc<Mutex<Tally>>,
    mut stopped: oneshot::Receiver<()>,
) {
    let client = client();
    let mut under_way = JoinSet::new();
    let mut due = Instant::now();
    loop {
        due += Duration::from_secs_f64(dice.exponential() / rate);
        tokio::select! {
            _ = &mut stopped => break,
            () = sleep_until(due) => {}
        }
        let period = note_sent(&tally);
        let (client, tally) = (client.clone(), Arc::clone(&tally));
        let request = request(to, &dice);
        under_way.spawn(async move {
            let (fate, version) = exchange(&client, request).await;
            if let Some(period) = lock(&tally).periods.get_mut(period) {
                period.counts.count(fate, version);
            }
        });
        while under_way.try_join_next().is_some() {}
    }
    while under_way.join_next().await.is_some() {}
}

/// Counts a request as sent; gives the number of its period.
fn note_sent(tally: &Mutex<Tally>) -> usize {
    let mut tally = lock(tally);
    if let Some(period) = tally.periods.last_mut() {
        period.sent += 1;
    }
    tally.periods.len() - 1
}

fn client() -> Http {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector)
}

fn request(to: SocketAddr, dice: &Dice) -> Option<Request<Full<Bytes>>> {
    let mut choice = dice.fraction();
    let (_, method, path) = MIX
        .into_iter()
        .find(|(share, ..)| {
            choice -= share;
            choice < 0.0
        })
        .unwrap_or(MIX[0]);
    let request = Request::builder().method(method).uri(format!("http://{to}{path}"));
    let request = if dice.chance(KEYED) {
        request.header("x-user", format!("user-{}", dice.below(USERS)))
    } else {
        request
    };
    request.body(Full::default()).ok()
}

async fn exchange(client: &Http, request: Option<Request<Full<Bytes>>>) -> (Fate, Option<String>) {
    let Some(request) = request else {
        return (Fate::FailedOtherwise("request not built".into()), None);
    };
    let answer = async {
        let response = client.request(request).await.map_err(|error| reason(&error))?;
        let (head, body) = response.into_parts();
        body.collect().await.map_err(|error| reason(&error))?;
        Ok(Response::from_parts(head, ()))
    };
    match timeout(TIMEOUT, answer).await {
        Err(_) => (Fate::FailedOtherwise(format!("no answer in {} s", TIMEOUT.as_secs())), None),
        Ok(Err(reason)) => (Fate::FailedOtherwise(reason), None),
        Ok(Ok(response)) => (fate(&response), version(&response)),
    }
}

fn fate(response: &Response<()>) -> Fate {
    if response.headers().contains_key(FAULT_HEADER) {
        Fate::FailedByApp
    } else if response.status().is_client_error() || response.status().is_server_error() {
        Fate::FailedOtherwise(format!("answered {}", response.status()))
    } else {
        Fate::Served
    }
}

fn version(response: &Response<()>) -> Option<String> {
    Some(response.headers().get(VERSION_HEADER)?.to_str().ok()?.to_owned())
}

/// An error with what caused it, since the first words rarely tell.
fn reason(error: &dyn std::error::Error) -> String {
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        reason = format!("{reason}: {cause}");
        source = cause.source();
    }
    reason
}

/// The counts; whoever panicked while holding them had finished one addition at most.
fn lock(tally: &Mutex<Tally>) -> std::sync::MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::app::{Fault, Version};
    use super::*;

    #[tokio::test]
    async fn stopping_fails_no_request() {
        let version = Version::start("v1", Fault::Delay(Duration::from_millis(50)), 2)
            .await
            .expect("free ports");
        let load = Load::start(version.addresses()[1], 400.0, 3);
        load.answered(50).await;
        let first = load.end_period().await;
        let all = load.stop().await;
        assert!(first.requests >= 50 && all.requests > first.requests, "{first:?} {all:?}");
        assert_eq!((all.failed_by_app, all.failed_otherwise), (0, 0), "{:?}", all.reasons);
        assert_eq!(all.versions.get("v1"), Some(&all.requests));
        assert_eq!(version.served(), (all.requests, 0));
    }

    #[tokio::test]
    async fn failures_that_the_app_did_not_make_are_told_apart() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = closed.local_addr().expect("bound");
        drop(closed);
        let load = Load::start(address, 400.0, 3);
        load.answered(5).await;
        let counts = load.stop().await;
        assert_eq!(counts.failed_otherwise, counts.requests);
        assert!(counts.reasons.keys().all(|reason| reason.contains("refused")), "{counts:?}");
    }
}
