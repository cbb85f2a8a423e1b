//! The load tester that Flagger's users call, as far as its protocol goes: gates, which begin closed, and tasks by
//! `metadata.type`. It keeps all that it is told, and has a place where nobody answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use http_body_util::{BodyExt as _, Collected, Full};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
};
use serde_json::Value;
use tokio::process::Command;

use crate::listener::Listener;

/// A load tester on a port of its own.
pub(crate) struct LoadTester {
    listener: Listener,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Of gates, by canary; those of `rollback` have keys of their own.
    open: BTreeSet<String>,
    calls: Vec<Call>,
}

/// What came in.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) payload: Value,
}

impl LoadTester {
    pub(crate) fn start() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let kept = Arc::clone(&state);
        let listener = Listener::start(move |request| answer(request, Arc::clone(&kept)));
        Self { listener, state }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.listener.url(path)
    }

    /// Opens the gate of a Canary, as a person does.
    pub(crate) fn open(&self, canary: &str) {
        self.state.lock().expect("no panic").open.insert(canary.to_owned());
    }

    /// Closes it.
    pub(crate) fn close(&self, canary: &str) {
        self.state.lock().expect("no panic").open.remove(canary);
    }

    /// What came in at a path.
    pub(crate) fn calls(&self, path: &str) -> Vec<Value> {
        let state = self.state.lock().expect("no panic");
        let there = state.calls.iter().filter(|call| call.path == path);
        there.map(|call| call.payload.clone()).collect()
    }
}

async fn answer(request: Request<Incoming>, state: Arc<Mutex<State>>) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    let json = request.headers().get("content-type").is_some_and(|it| it == "application/json");
    let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
    let (status, text) = match serde_json::from_slice::<Value>(&body) {
        Ok(payload) if json && payload["name"].is_string() && payload["namespace"].is_string() => {
            let call = Call { path: path.clone(), payload: payload.clone() };
            state.lock().expect("no panic").calls.push(call);
            reply(&path, &payload, &state).await
        }
        _ => (400, "decoding the request body failed".to_owned()),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}

async fn reply(path: &str, payload: &Value, state: &Mutex<State>) -> (u16, String) {
    let said = |status, text: &str| (status, text.to_owned());
    let key = |prefix: &str| {
        let part = |name: &str| payload[name].as_str().unwrap_or_default().to_owned();
        format!("{prefix}{}.{}", part("name"), part("namespace"))
    };
    let (prefix, verb) = match path.trim_start_matches('/').split_once('/') {
        Some(("gate", verb)) => ("", verb),
        Some(("rollback", verb)) => ("rollback.", verb),
        None if path == "/" => return task(payload).await,
        None if path == "/hang" => return std::future::pending().await,
        _ => return said(200, ""),
    };
    let mut state = state.lock().expect("no panic");
    match verb {
        "approve" => said(200, "OK"),
        "open" => {
            state.open.insert(key(prefix));
            said(202, "")
        }
        "close" => {
            state.open.remove(&key(prefix));
            said(202, "")
        }
        "check" if state.open.contains(&key(prefix)) => said(200, "Approved"),
        _ => said(403, "Forbidden"),
    }
}

/// A task: `bash` blocks and tells, the rest is taken for later.
async fn task(payload: &Value) -> (u16, String) {
    let metadata: BTreeMap<String, String> = match payload["metadata"].as_object() {
        Some(all) if !all.is_empty() => {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            all.iter().map(|(key, value)| (key.clone(), text(value))).collect()
        }
        _ => return (400, "metadata not found in payload".to_owned()),
    };
    let Some(command) = metadata.get("cmd") else {
        return (400, "cmd not found in metadata".to_owned());
    };
    if metadata.get("type").is_none_or(|it| it == "cmd") {
        return (202, String::new());
    }
    let output = Command::new("bash").arg("-c").arg(command).output().await.expect("bash");
    if output.status.success() {
        return (200, String::new());
    }
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (500, format!("command {command} failed: {text}: {}", output.status))
}
