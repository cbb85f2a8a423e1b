//! `load serve`: loads sent from here when asked, so that a test outside a mesh has them sent from inside.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use hyper::{Method, Request, StatusCode, body::Incoming};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Options, Plan, Progress, run};
use crate::{
    aside,
    server::{self, Answer, refusal},
    signals::Signals,
};

pub(super) const MORE: &str = "\
  POST /run       sends a load and answers with its result when it has ended. The body has the options' names:
                  {\"url\": \"http://podinfo:9898/\", \"rps\": 20, \"for\": \"10s\",
                   \"header\": [\"x-a: b\"], \"users\": 50}
                  Who hangs up before ends the load, and learns nothing.
  GET  /running   the loads under way, and how far they are
  POST /stop      ends all loads early; each is answered with its result
  GET  /healthz   200";

/// Loads at once.
const RUNS_MAX: usize = 8;
/// The last answers of loads that were ended have this time.
const DRAIN_MAX: Duration = Duration::from_secs(15);

/// What all requests share.
struct Desk {
    running: Mutex<BTreeMap<u64, Running>>,
    next: AtomicU64,
    /// Changes whenever all loads are to end.
    stop: watch::Sender<()>,
}

struct Running {
    plan: Plan,
    progress: Progress,
    began: Instant,
}

/// A load's place on the desk, given up when it has ended or was given up itself.
struct Place {
    desk: Arc<Desk>,
    id: u64,
}

/// Serves until a signal comes.
pub(super) async fn serve(listen: &str, mut signals: Signals) -> Result<(), String> {
    let listener = server::bind(listen).await.map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    aside(format_args!("load: listens on {address}"));
    let desk = Arc::new(Desk {
        running: Mutex::default(),
        next: AtomicU64::new(1),
        stop: watch::Sender::default(),
    });
    let answer = {
        let desk = Arc::clone(&desk);
        move |request| answer(Arc::clone(&desk), request)
    };
    let stop = async {
        signals.next().await;
        desk.stop.send_replace(());
    };
    server::serve(listener, answer, stop, DRAIN_MAX).await;
    Ok(())
}

async fn answer(desk: Arc<Desk>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    Ok(match (request.method(), request.uri().path()) {
        (&Method::POST, "/run") => run_asked(&desk, request).await,
        (&Method::GET, "/running") => server::json(StatusCode::OK, &desk.show()),
        (&Method::POST, "/stop") => {
            let ended = lock(&desk.running).len();
            desk.stop.send_replace(());
            server::json(StatusCode::OK, &json!({ "ended": ended }))
        }
        (&Method::GET, "/healthz") => server::json(StatusCode::OK, &json!({})),
        _ => refusal(
            StatusCode::NOT_FOUND,
            "there are POST /run, GET /running, POST /stop, GET /healthz",
        ),
    })
}

async fn run_asked(desk: &Arc<Desk>, request: Request<Incoming>) -> Answer {
    let plan = match server::body(request).await.and_then(|body| read(&body)) {
        Ok(plan) => plan,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, error),
    };
    let mut stop = desk.stop.subscribe();
    let progress = Progress::default();
    let Some(place) = Place::take(desk, &plan, &progress) else {
        let text = format!("{RUNS_MAX} loads are under way, which is all there may be");
        return refusal(StatusCode::TOO_MANY_REQUESTS, text);
    };
    let stopped = async {
        // The desk outlives its loads.
        let _ = stop.changed().await;
    };
    let outcome = run(&plan, &progress, stopped).await;
    drop(place);
    server::json(StatusCode::OK, &outcome)
}

fn read(body: &[u8]) -> Result<Plan, String> {
    let options: Options = serde_json::from_slice(body)
        .map_err(|error| format!("must be a JSON object of the options: {error}"))?;
    options.plan()
}

impl Desk {
    fn show(&self) -> Value {
        let running = lock(&self.running);
        let running = running.iter().map(|(id, Running { plan, progress, began })| {
            json!({
                "id": id,
                "options": plan.options,
                "planned": plan.requests,
                "sent": progress.sent(),
                "elapsed_s": began.elapsed().as_secs_f64(),
            })
        });
        json!({ "running": running.collect::<Vec<_>>() })
    }
}

impl Place {
    fn take(desk: &Arc<Desk>, plan: &Plan, progress: &Progress) -> Option<Self> {
        let mut running = lock(&desk.running);
        if running.len() >= RUNS_MAX {
            return None;
        }
        let id = desk.next.fetch_add(1, Ordering::Relaxed);
        let (plan, progress) = (plan.clone(), progress.clone());
        running.insert(id, Running { plan, progress, began: Instant::now() });
        Some(Self { desk: Arc::clone(desk), id })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.desk.running).remove(&self.id);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
