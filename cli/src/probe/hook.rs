//! A webhook call as Flagger makes it: the same body, the same answers that count as a yes, the same retries.

use std::time::Duration;

use hyper::Method;
use serin_rollout::{Hook, HookPayload};

use super::url::{Url, excerpt};

const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// How an attempt ended that was no yes.
enum Refusal {
    /// Asking again may help.
    Passing(String),
    /// It will not.
    Final(String),
}

/// Calls a hook until it says yes (200, 201 or 202), says no, or the attempts are used up.
pub(super) async fn call(hook: &Hook, payload: &HookPayload) -> Result<(), String> {
    let url = Url::parse(&hook.url)?;
    let body = serde_json::to_string(payload).map_err(|error| error.to_string())?;
    let mut backoff = BACKOFF_MIN;
    for attempt in 0.. {
        match attempt_once(&url, &body, hook.timeout).await {
            Ok(()) => return Ok(()),
            Err(Refusal::Final(text)) => return Err(text),
            Err(Refusal::Passing(text)) if attempt >= hook.retries => {
                return Err(format!("{text} ({} attempts)", attempt.saturating_add(1)));
            }
            Err(Refusal::Passing(_)) => {}
        }
        tokio::time::sleep(backoff).await;
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
    Err("no attempt was made".to_owned())
}

async fn attempt_once(url: &Url, body: &str, limit: Duration) -> Result<(), Refusal> {
    let answer = url.send(Method::POST, Some(body), limit).await.map_err(Refusal::Passing)?;
    let status = answer.status.as_u16();
    let text = match excerpt(&answer) {
        empty if empty.is_empty() => answer.status.to_string(),
        text => format!("{status}: {text}"),
    };
    match status {
        200..=202 => Ok(()),
        429 | 500 | 502..=599 => Err(Refusal::Passing(text)),
        _ => Err(Refusal::Final(text)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    use serin_rollout::{HookKind, Phase};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers each request with the next status, and keeps what was sent.
    async fn server(statuses: Vec<u16>) -> (String, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/gate", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            for status in statuses {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"}}") {
                    let mut some = [0; 4096];
                    let read = stream.read(&mut some).await.unwrap();
                    request.extend(&some[..read]);
                }
                log.lock().unwrap().push(String::from_utf8(request).unwrap());
                let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 4\r\n\r\nwhy?");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        (url, seen)
    }

    fn hook(url: String, retries: u32) -> (Hook, HookPayload) {
        let hook = Hook {
            name: "gate".to_owned(),
            kind: HookKind::ConfirmRollout,
            url,
            timeout: Duration::from_secs(5),
            retries,
            metadata: BTreeMap::new(),
        };
        let payload = HookPayload {
            name: "shop".to_owned(),
            namespace: "prod".to_owned(),
            phase: Phase::Waiting,
            checksum: "v2".to_owned(),
            metadata: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
        };
        (hook, payload)
    }

    #[tokio::test]
    async fn the_body_is_flaggers() {
        let (url, seen) = server(vec![202]).await;
        let (hook, payload) = hook(url, 0);
        assert_eq!(call(&hook, &payload).await, Ok(()));
        let request = seen.lock().unwrap().remove(0);
        assert!(request.starts_with("POST /gate HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("content-type: application/json\r\n"), "{request}");
        let body = concat!(
            r#"{"name":"shop","namespace":"prod","phase":"Waiting","#,
            r#""checksum":"v2","metadata":{"k":"v"}}"#
        );
        assert!(request.ends_with(body), "{request}");
    }

    #[tokio::test]
    async fn only_200_to_202_is_a_yes() {
        for (status, yes) in [(200, true), (201, true), (203, false), (204, false), (403, false)] {
            let (url, _) = server(vec![status]).await;
            let (hook, payload) = hook(url, 3);
            assert_eq!(call(&hook, &payload).await.is_ok(), yes, "{status}");
        }
    }

    #[tokio::test]
    async fn a_passing_failure_is_tried_again_and_a_final_one_is_not() {
        let (url, seen) = server(vec![503, 200]).await;
        let (gate, payload) = hook(url, 1);
        assert_eq!(call(&gate, &payload).await, Ok(()));
        assert_eq!(seen.lock().unwrap().len(), 2);
        let (url, seen) = server(vec![403, 200]).await;
        let (gate, payload) = hook(url, 1);
        assert_eq!(call(&gate, &payload).await, Err("403: why?".to_owned()));
        assert_eq!(seen.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn nobody_there_is_told_with_the_number_of_attempts() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        let (gate, payload) = hook(url, 0);
        let error = call(&gate, &payload).await.unwrap_err();
        assert!(error.ends_with("(1 attempts)"), "{error}");
    }
}
