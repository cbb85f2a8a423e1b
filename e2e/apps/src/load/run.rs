//! Sends a load and counts what becomes of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use http_body_util::{BodyExt as _, Empty};
use hyper::{HeaderMap, Request, body::Bytes, header::HeaderValue};
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{sleep_until, timeout},
};

use super::{
    options::Plan,
    outcome::Outcome,
    tally::{Fate, Maker, Tally},
    users::Jars,
};
use crate::headers;

/// How far a load has come, for whoever asks meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<AtomicU64>);

/// A request that has had its end; times are after the load's beginning.
struct Done {
    index: u64,
    sent: Duration,
    fate: Fate,
    ended: Duration,
}

type Http = Client<HttpConnector, Empty<Bytes>>;

impl Progress {
    /// Requests sent so far.
    pub fn sent(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Sends the load, or as much of it as there is time for until `stop` resolves, and waits for the answers that are
/// still to come.
pub async fn run(plan: &Plan, progress: &Progress, stop: impl Future<Output = ()>) -> Outcome {
    let shared = Arc::new((client(plan), plan.clone(), Jars::default()));
    let places = Arc::new(Semaphore::new(plan.options.concurrency));
    let (mut tally, mut under_way) = (Tally::default(), JoinSet::new());
    let (mut skipped, mut interrupted) = (0, false);
    let began = Instant::now();
    tokio::pin!(stop);
    for index in 0..plan.requests {
        tokio::select! {
            biased;
            () = &mut stop => {
                interrupted = true;
                break;
            }
            () = sleep_until((began + plan.due(index)).into()) => {}
        }
        while let Some(Ok(done)) = under_way.try_join_next() {
            take(&mut tally, plan, done);
        }
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            skipped += 1;
            continue;
        };
        progress.0.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::clone(&shared);
        under_way.spawn(async move {
            let (client, plan, jars) = &*shared;
            let sent = began.elapsed();
            let fate = fate(client, plan, jars, index).await;
            drop(place);
            Done { index, sent, fate, ended: began.elapsed() }
        });
    }
    while let Some(done) = under_way.join_next().await {
        match done {
            Ok(done) => take(&mut tally, plan, done),
            // A request that panicked is none that was answered.
            Err(_) => tally.count((Fate::Lost("failed"), began.elapsed())),
        }
    }
    let outcome = told(plan, tally);
    Outcome {
        elapsed_s: began.elapsed().as_secs_f64(),
        interrupted,
        sent: progress.sent(),
        skipped,
        ..outcome
    }
}

/// What the counts say, but for how the sending went.
fn told(plan: &Plan, mut tally: Tally) -> Outcome {
    let (latency_ms, version_latency_ms) = (tally.latency(), tally.version_latencies());
    let versions = tally.versions();
    let Tally { status, failures, lost, answered, version_spans, faults, otherwise, met, .. } =
        tally;
    let spans = version_spans.into_iter().filter_map(|(version, span)| Some((version, span?)));
    Outcome {
        url: plan.options.url.clone(),
        rps: plan.options.rps,
        elapsed_s: 0.0,
        interrupted: false,
        planned: plan.requests,
        sent: 0,
        skipped: 0,
        answered,
        status,
        versions,
        failures,
        transport: lost,
        latency_ms,
        version_latency_ms,
        version_span_s: spans.collect(),
        fault_span_s: faults,
        otherwise_s: otherwise,
        user_span_s: met.0,
    }
}

fn take(tally: &mut Tally, plan: &Plan, Done { index, sent, fate, ended }: Done) {
    if let Some(user) = plan.user(index) {
        tally.meet(user, &fate, sent);
    }
    tally.count((fate, ended));
}

fn client(plan: &Plan) -> Http {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(plan.options.timeout.0));
    // A request that finds its kept connection closed before a byte of it was written takes another connection; that
    // is the only one that begins anew.
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(plan.options.concurrency)
        .build(connector)
}

/// Sends one request and reads its answer to the end.
async fn fate(client: &Http, plan: &Plan, jars: &Jars, index: u64) -> Fate {
    let began = Instant::now();
    let exchange = async {
        let request = request(plan, jars, index).ok_or("not a request")?;
        let response = client.request(request).await.map_err(|error| reason(&error))?;
        let (head, mut body) = response.into_parts();
        if let Some(user) = plan.user(index).filter(|_| plan.options.cookies) {
            jars.keep(user, &head.headers);
        }
        while let Some(frame) = body.frame().await {
            frame.map_err(|_| "cut off")?;
        }
        Ok(head)
    };
    match timeout(plan.options.timeout.0, exchange).await {
        Ok(Ok(head)) => Fate::Answered {
            status: head.status.as_u16(),
            version: text(&head.headers, plan.version_header.as_str()),
            maker: maker(plan, &head.headers),
            after: began.elapsed(),
        },
        Ok(Err(reason)) => Fate::Lost(reason),
        Err(_) => Fate::Lost("timeout"),
    }
}

fn request(plan: &Plan, jars: &Jars, index: u64) -> Option<Request<Empty<Bytes>>> {
    let mut request = Request::builder().uri(&plan.uri).body(Empty::new()).ok()?;
    let headers = request.headers_mut();
    headers.clone_from(&plan.headers);
    if let Some(user) = plan.user(index) {
        let name = HeaderValue::from_str(&format!("user-{user}")).ok()?;
        headers.insert(&plan.user_header, name);
        if plan.options.cookies {
            jars.send(user, headers);
        }
    }
    Some(request)
}

fn maker(plan: &Plan, headers: &HeaderMap) -> Maker {
    if headers.contains_key(headers::FAULT) {
        Maker::Fault
    } else if headers.contains_key(&plan.version_header) {
        Maker::App
    } else {
        Maker::Proxy
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn reason(error: &Error) -> &'static str {
    if error.is_connect() { "not connected" } else { "closed without an answer" }
}
