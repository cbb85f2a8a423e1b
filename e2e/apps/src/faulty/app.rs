//! The app: what it answers, and what it counts.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hyper::{Method, Request, StatusCode, body::Incoming, header::HeaderValue};
use serde::Serialize;
use serde_json::json;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

use super::{
    args::Args,
    faults::{Faults, Readiness},
    order::Order,
};
use crate::{
    headers,
    server::{self, Answer, refusal},
};

/// The app's state.
pub(super) struct App {
    version: HeaderValue,
    pod: HeaderValue,
    names: (String, String),
    first: Faults,
    faults: Mutex<Faults>,
    counts: Mutex<Counts>,
    began: Instant,
    started: Instant,
    draining: Mutex<bool>,
    crash: Notify,
}

/// What it has done so far. Probes, and what is asked of it about itself, are not among the answers.
#[derive(Clone, Debug, Default, Serialize)]
struct Counts {
    /// Answers by status.
    answers: BTreeMap<u16, u64>,
    /// Answers that failed on purpose.
    faults: u64,
    /// Requests that were not answered, on purpose.
    resets: u64,
    /// Questions of `/healthz` and `/readyz`.
    probes: u64,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Served,
    Fails(StatusCode, &'static str),
    Reset,
}

/// Why a request gets no answer.
#[derive(Debug)]
pub(super) struct Reset;

impl std::fmt::Display for Reset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("reset, as ordered")
    }
}

impl std::error::Error for Reset {}

impl App {
    /// An app that starts now. The names have been checked.
    pub(super) fn new(args: &Args) -> Result<Self, String> {
        let header = |name: &str| HeaderValue::from_str(name).map_err(|error| error.to_string());
        let began = Instant::now();
        Ok(Self {
            version: header(&args.version_name)?,
            pod: header(&args.pod_name)?,
            names: (args.version_name.clone(), args.pod_name.clone()),
            first: args.faults.clone(),
            faults: Mutex::new(args.faults.clone()),
            counts: Mutex::default(),
            began,
            started: began + args.slow_start.0,
            draining: Mutex::new(false),
            crash: Notify::new(),
        })
    }

    /// From now on it is not ready.
    pub(super) fn drain(&self) {
        *lock(&self.draining) = true;
    }

    /// Resolves when it is told to crash.
    pub(super) async fn crashed(&self) {
        self.crash.notified().await;
    }

    /// Answers a request, if it is to be answered.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Reset> {
        let faults = lock(&self.faults).clone();
        let answer = match (request.method(), request.uri().path()) {
            (_, path @ ("/healthz" | "/readyz")) => {
                lock(&self.counts).probes += 1;
                self.probe(path, &faults).await?
            }
            (&Method::GET, "/faults") => server::json(StatusCode::OK, &faults),
            (&Method::POST, "/faults") => self.change(request).await,
            (&Method::DELETE, "/faults") => self.put(self.first.clone()),
            (_, "/faults") => refusal(StatusCode::METHOD_NOT_ALLOWED, "GET, POST or DELETE"),
            (&Method::POST, "/crash") => {
                self.crash.notify_one();
                return Err(Reset);
            }
            (&Method::GET, "/counts") => server::json(StatusCode::OK, &*lock(&self.counts)),
            _ => self.serve(&request, &faults).await?,
        };
        Ok(self.signed(answer))
    }

    async fn probe(&self, path: &str, faults: &Faults) -> Result<Answer, Reset> {
        if faults.probes {
            let fate = draw(faults);
            wait(drawn_delay(faults)).await;
            match fate {
                Fate::Reset => return Err(Reset),
                Fate::Fails(status, mark) => return Ok(self.page(status, path, Some(mark))),
                Fate::Served => {}
            }
        }
        Ok(match self.unready(faults).filter(|_| path == "/readyz") {
            Some(why) => refusal(StatusCode::SERVICE_UNAVAILABLE, why),
            None => self.page(StatusCode::OK, path, None),
        })
    }

    /// Why it is not ready, if it is not.
    fn unready(&self, faults: &Faults) -> Option<&'static str> {
        if *lock(&self.draining) {
            return Some("draining");
        }
        if Instant::now() < self.started {
            return Some("starting");
        }
        match faults.readiness {
            Readiness::Steady => None,
            Readiness::Never => Some("never ready, as ordered"),
            Readiness::Flap => {
                let periods = self.began.elapsed().as_millis() / faults.flap.0.as_millis().max(1);
                (periods % 2 == 1).then_some("flapping, as ordered")
            }
        }
    }

    async fn change(&self, request: Request<Incoming>) -> Answer {
        let change = match server::body(request).await {
            Ok(change) => change,
            Err(error) => return refusal(StatusCode::BAD_REQUEST, error),
        };
        let changed = lock(&self.faults).changed(&change);
        match changed {
            Ok(faults) => self.put(faults),
            Err(error) => refusal(StatusCode::BAD_REQUEST, error),
        }
    }

    fn put(&self, faults: Faults) -> Answer {
        let answer = server::json(StatusCode::OK, &faults);
        *lock(&self.faults) = faults;
        answer
    }

    async fn serve(&self, request: &Request<Incoming>, faults: &Faults) -> Result<Answer, Reset> {
        sleep_until(self.started).await;
        let order = match Order::of(request.uri(), request.headers()) {
            Ok(order) => order,
            Err(error) => {
                *lock(&self.counts).answers.entry(400).or_default() += 1;
                return Ok(refusal(StatusCode::BAD_REQUEST, error));
            }
        };
        let (fate, delay) = match order {
            Some(Order { status, delay, reset }) => {
                let delay = delay.map(|it| it.0).unwrap_or_default();
                (ordered(status, reset), delay)
            }
            None => (draw(faults), drawn_delay(faults)),
        };
        wait(delay).await;
        self.count(fate);
        let path = request.uri().path();
        match fate {
            Fate::Reset => Err(Reset),
            Fate::Served => Ok(self.page(StatusCode::OK, path, None)),
            Fate::Fails(status, mark) => Ok(self.page(status, path, Some(mark))),
        }
    }

    fn count(&self, fate: Fate) {
        let mut counts = lock(&self.counts);
        let status = match fate {
            Fate::Reset => {
                counts.resets += 1;
                return;
            }
            Fate::Served => 200,
            Fate::Fails(status, _) => {
                counts.faults += 1;
                status.as_u16()
            }
        };
        *counts.answers.entry(status).or_default() += 1;
    }

    fn page(&self, status: StatusCode, path: &str, fault: Option<&'static str>) -> Answer {
        let (version, pod) = &self.names;
        let page = json!({ "version": version, "pod": pod, "path": path, "fault": fault });
        let mut answer = server::json(status, &page);
        if let Some(fault) = fault {
            answer.headers_mut().insert(headers::FAULT, HeaderValue::from_static(fault));
        }
        answer
    }

    fn signed(&self, mut answer: Answer) -> Answer {
        let headers = answer.headers_mut();
        headers.insert(headers::VERSION, self.version.clone());
        headers.insert(headers::POD, self.pod.clone());
        answer
    }
}

/// A status that is no failure is served, only otherwise than with 200.
fn ordered(status: Option<StatusCode>, reset: bool) -> Fate {
    match status {
        _ if reset => Fate::Reset,
        None | Some(StatusCode::OK) => Fate::Served,
        Some(status) => Fate::Fails(status, "ordered"),
    }
}

fn draw(faults: &Faults) -> Fate {
    let drawn = fastrand::f64();
    if drawn < faults.reset.get() {
        return Fate::Reset;
    }
    if drawn >= faults.reset.get() + faults.fail.get() {
        return Fate::Served;
    }
    let code = fastrand::choice(&faults.codes).and_then(|it| StatusCode::from_u16(*it).ok());
    Fate::Fails(code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), "drawn")
}

fn drawn_delay(faults: &Faults) -> Duration {
    if fastrand::f64() < faults.delay_share.get() { faults.delay.0 } else { Duration::ZERO }
}

/// A timer waits at least a millisecond, even for nothing.
async fn wait(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn args(words: &[&str]) -> Args {
        Args::try_parse_from([&["faulty"], words].concat()).unwrap()
    }

    #[test]
    fn shares_are_drawn_as_often_as_they_say() {
        let faults = args(&["--fail", "20%", "--codes", "500,503", "--reset", "10%"]).faults;
        let fates: Vec<Fate> = (0..20_000).map(|_| draw(&faults)).collect();
        let of = |meant: &dyn Fn(&Fate) -> bool| fates.iter().filter(|fate| meant(fate)).count();
        let code = |code: u16| move |fate: &Fate| matches!(fate, Fate::Fails(it, _) if *it == code);
        // Each within five standard deviations.
        assert!((1_790..2_210).contains(&of(&code(500))));
        assert!((1_790..2_210).contains(&of(&code(503))));
        assert!((1_790..2_210).contains(&of(&|fate| *fate == Fate::Reset)));
    }

    #[tokio::test(start_paused = true)]
    async fn readiness_starts_late_flaps_and_ends_with_draining() {
        let app = App::new(&args(&["--slow-start", "3s"])).unwrap();
        let mut faults = app.first.clone();
        assert_eq!(app.unready(&faults), Some("starting"));
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(app.unready(&faults), None);
        faults.readiness = Readiness::Flap;
        assert_eq!(app.unready(&faults), None, "ready for the first five seconds");
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(app.unready(&faults), Some("flapping, as ordered"));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(app.unready(&faults), None);
        app.drain();
        assert_eq!(app.unready(&faults), Some("draining"));
    }
}
