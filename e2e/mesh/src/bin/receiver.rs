//! A receiver of reports, as a pod of the mesh: it takes what the filters send as the controller would, keeps it, and
//! hands it to the tests. It judges nothing.
//!
//! - `POST /v1/report` with `authorization: Bearer $TOKEN`: a report; 200, 401 or 400.
//! - `GET /reports?from=N`: what came since the Nth, as soon as there is anything, at the latest after a second.
//! - `GET /healthz`: 200.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::AUTHORIZATION,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use serde_json::{Value, json};
use serin_route::Report;
use tokio::{net::TcpListener, sync::watch};

/// The longest that a question for reports waits.
const WAIT: Duration = Duration::from_secs(1);

/// Everything that came, in order.
struct Kept {
    reports: watch::Sender<Vec<Value>>,
    authorization: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let port = std::env::var("PORT").map_or(Ok(8080), |port| port.parse()).context("PORT")?;
    let token = std::env::var("TOKEN").context("TOKEN: what reports must carry")?;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?;
    let reports = watch::Sender::new(Vec::new());
    let kept = Arc::new(Kept { reports, authorization: format!("Bearer {token}") });
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let kept = Arc::clone(&kept);
        tokio::spawn(async move {
            let answer = service_fn(move |request| {
                let kept = Arc::clone(&kept);
                async move { kept.answer(request).await }
            });
            let stream = TokioIo::new(stream);
            // Whoever breaks off sends, or asks, again.
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(stream, answer).await;
        });
    }
}

impl Kept {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
        let (head, body) = request.into_parts();
        let (status, text) = match (&head.method, head.uri.path()) {
            (&Method::GET, "/healthz") => (StatusCode::OK, String::new()),
            (&Method::GET, "/reports") => (StatusCode::OK, self.since(head.uri.query()).await),
            (&Method::POST, "/v1/report") => {
                self.take(&head.headers, &body.collect().await?.to_bytes())
            }
            _ => (StatusCode::NOT_FOUND, "no such place".to_owned()),
        };
        Ok(Response::builder().status(status).body(Full::from(text))?)
    }

    fn take(&self, headers: &HeaderMap, body: &[u8]) -> (StatusCode, String) {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if text(AUTHORIZATION.as_str()) != Some(&self.authorization) {
            return (StatusCode::UNAUTHORIZED, "the token is missing or another".to_owned());
        }
        match Report::parse(body) {
            Ok(report) => {
                let came = json!({"peer": text("x-forwarded-client-cert"), "report": report});
                self.reports.send_modify(|reports| reports.push(came));
                (StatusCode::OK, String::new())
            }
            Err(error) => (StatusCode::BAD_REQUEST, error.to_string()),
        }
    }

    async fn since(&self, query: Option<&str>) -> String {
        let from = query.and_then(|query| query.strip_prefix("from=")?.parse().ok()).unwrap_or(0);
        let mut reports = self.reports.subscribe();
        // Nothing within the time is an answer too.
        let _ = tokio::time::timeout(WAIT, reports.wait_for(|all| all.len() > from)).await;
        let all = self.reports.borrow();
        json!(all.get(from..).unwrap_or_default()).to_string()
    }
}
