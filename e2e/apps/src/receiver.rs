//! `receiver`: takes the filters' reports in a pod of the mesh, in the controller's place, keeps them all, and hands
//! them to a test. It judges nothing.

use std::{convert::Infallible, sync::Arc, time::Duration};

use clap::Parser;
use http_body_util::{BodyExt as _, Limited};
use hyper::{
    Method, Request, StatusCode,
    body::Incoming,
    header::{AUTHORIZATION, HeaderMap},
};
use serde_json::{Value, json};
use serin_route::Report;
use tokio::sync::watch;

use crate::{
    aside,
    server::{self, Answer, refusal},
    signals::Signals,
};

/// The longest that a question for reports waits.
const WAIT: Duration = Duration::from_secs(1);
/// Answers that are under way at the end have this time.
const DRAIN_MAX: Duration = Duration::from_secs(2);
/// As much as a report may have.
const BODY_BYTES_MAX: usize = 16 << 20;
/// A test's reports, many times; those beyond are refused.
const REPORTS_MAX: usize = 100_000;
/// Who sent a request over the mesh's mutual TLS, as the pod's own sidecar says.
const PEER: &str = "x-forwarded-client-cert";

const MORE: &str = "\
  POST /v1/report        a filter's report; 200, 401 without the token, 400 if it is none
  GET  /reports?from=N   a JSON list of what came from the Nth on, as soon as there is anything, at the latest
                         after a second: [{\"peer\": \"…URI=spiffe://…\", \"report\": {…}}]
  GET  /healthz          200";

/// Takes the filters' reports, keeps them, and hands them out as JSON.
#[derive(Clone, Debug, Parser)]
#[command(name = "receiver", after_help = MORE, max_term_width = 100)]
pub struct Args {
    /// Where it listens.
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8080", env = "RECEIVER_LISTEN")]
    listen: String,
    /// What reports must carry: `authorization: Bearer TOKEN`.
    #[arg(long, value_name = "TOKEN", env = "RECEIVER_TOKEN", hide_env_values = true)]
    token: String,
}

/// Everything that came, in order.
struct Shelf {
    reports: watch::Sender<Vec<Value>>,
    authorization: String,
}

/// Serves until a signal comes.
pub async fn run(args: Args) -> Result<(), String> {
    let mut signals = Signals::new().map_err(|error| error.to_string())?;
    let listener = server::bind(&args.listen).await.map_err(|error| error.to_string())?;
    aside(format_args!("receiver: listens on {}", args.listen));
    let shelf = Arc::new(Shelf {
        reports: watch::Sender::default(),
        authorization: format!("Bearer {}", args.token),
    });
    let answer = move |request| answer(Arc::clone(&shelf), request);
    server::serve(listener, answer, signals.next(), DRAIN_MAX).await;
    Ok(())
}

async fn answer(shelf: Arc<Shelf>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let (head, body) = request.into_parts();
    Ok(match (&head.method, head.uri.path()) {
        (&Method::POST, "/v1/report") => match Limited::new(body, BODY_BYTES_MAX).collect().await {
            Ok(body) => shelf.take(&head.headers, &body.to_bytes()),
            Err(error) => refusal(StatusCode::BAD_REQUEST, error.to_string()),
        },
        (&Method::GET, "/reports") => match from(head.uri.query()) {
            Some(from) => server::json(StatusCode::OK, &shelf.since(from).await),
            None => refusal(StatusCode::BAD_REQUEST, "from: must be a number"),
        },
        (&Method::GET, "/healthz") => server::json(StatusCode::OK, &json!({})),
        _ => {
            refusal(StatusCode::NOT_FOUND, "there are POST /v1/report, GET /reports, GET /healthz")
        }
    })
}

fn from(query: Option<&str>) -> Option<usize> {
    query.map_or(Some(0), |query| query.strip_prefix("from=")?.parse().ok())
}

impl Shelf {
    fn take(&self, headers: &HeaderMap, body: &[u8]) -> Answer {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if text(AUTHORIZATION.as_str()) != Some(&self.authorization) {
            return refusal(StatusCode::UNAUTHORIZED, "the token is missing or another");
        }
        let report = match Report::parse(body) {
            Ok(report) => report,
            Err(error) => return refusal(StatusCode::BAD_REQUEST, error.to_string()),
        };
        let came = json!({ "peer": text(PEER), "report": report });
        let is_kept = self.reports.send_if_modified(|reports| {
            let has_room = reports.len() < REPORTS_MAX;
            if has_room {
                reports.push(came);
            }
            has_room
        });
        if is_kept {
            server::json(StatusCode::OK, &json!({}))
        } else {
            refusal(StatusCode::INSUFFICIENT_STORAGE, format!("{REPORTS_MAX} reports are kept"))
        }
    }

    async fn since(&self, from: usize) -> Vec<Value> {
        let mut reports = self.reports.subscribe();
        // Nothing within the time is an answer too.
        let _ = tokio::time::timeout(WAIT, reports.wait_for(|all| all.len() > from)).await;
        self.reports.borrow().get(from..).unwrap_or_default().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{"version": 1, "scope": "s", "proxy": "p", "boot": "0123456789abcdef",
        "sequence": 1, "rollouts": []}"#;

    fn shelf() -> Shelf {
        Shelf { reports: watch::Sender::default(), authorization: "Bearer known".to_owned() }
    }

    fn headers(token: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        headers.insert(PEER, "URI=spiffe://cluster.local/ns/a/sa/b".parse().unwrap());
        headers
    }

    #[tokio::test]
    async fn reports_are_kept_with_their_peer_and_handed_out_from_any_on() {
        let shelf = shelf();
        for _ in 0..3 {
            assert_eq!(shelf.take(&headers("known"), REPORT.as_bytes()).status(), 200);
        }
        let came = shelf.since(1).await;
        assert_eq!(came.len(), 2);
        assert_eq!(came[0]["peer"], "URI=spiffe://cluster.local/ns/a/sa/b");
        assert_eq!(came[0]["report"]["sequence"], 1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_too_early_waits_and_then_hears_of_nothing() {
        let began = tokio::time::Instant::now();
        assert_eq!(shelf().since(0).await, [Value::Null; 0]);
        assert_eq!(began.elapsed(), WAIT);
    }

    #[test]
    fn without_the_token_or_a_report_nothing_is_kept() {
        let shelf = shelf();
        assert_eq!(shelf.take(&headers("other"), REPORT.as_bytes()).status(), 401);
        assert_eq!(shelf.take(&headers("known"), b"{}").status(), 400);
        assert!(shelf.reports.borrow().is_empty());
    }
}
