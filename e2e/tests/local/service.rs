//! A small HTTP service: webhooks that say what they are told to say, a Prometheus that knows one number.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// The service; it stops when dropped.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    /// Statuses by path; 200 where there is none.
    statuses: Mutex<BTreeMap<String, u16>>,
    /// What every query is answered with.
    number: Mutex<Option<f64>>,
    /// Paths and bodies in order.
    calls: Mutex<Vec<(String, Value)>>,
}

impl Service {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = service_fn(|request| {
                        let state = Arc::clone(&state);
                        async move { Ok::<_, Infallible>(state.answer(request).await) }
                    });
                    let connection = hyper::server::conn::http1::Builder::new();
                    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(Self { address, state, accepting })
    }

    /// Says what a path answers from now on.
    pub(crate) fn says(&self, path: &str, status: u16) {
        lock(&self.state.statuses).insert(path.to_owned(), status);
    }

    /// Says what queries find from now on.
    pub(crate) fn knows(&self, number: f64) {
        *lock(&self.state.number) = Some(number);
    }

    /// The bodies that were posted to a path.
    pub(crate) fn calls(&self, path: &str) -> Vec<Value> {
        let calls = lock(&self.state.calls);
        calls.iter().filter(|(to, _)| to == path).map(|(_, body)| body.clone()).collect()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl State {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path().to_owned();
        if path == "/api/v1/query" {
            let found: Vec<Value> = lock(&self.number)
                .iter()
                .map(|number| json!({"metric": {}, "value": [0, number.to_string()]}))
                .collect();
            let data = json!({"resultType": "vector", "result": found});
            let body = json!({"status": "success", "data": data}).to_string();
            return Response::new(Full::from(body));
        }
        let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes);
        let body = serde_json::from_slice(&body.unwrap_or_default()).unwrap_or(Value::Null);
        let status = lock(&self.statuses).get(&path).copied().unwrap_or(200);
        lock(&self.calls).push((path, body));
        let mut response = Response::new(Full::from("as told"));
        *response.status_mut() = status.try_into().unwrap_or_default();
        response
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
