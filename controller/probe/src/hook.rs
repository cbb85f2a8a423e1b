//! A webhook call as Flagger makes it: the same body, the same answers that count as a yes, the same retries, the same
//! words for a no.

use std::time::Duration;

use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serin_rollout::{Hook, HookPayload};

use crate::network::{Failure, Reply, Transport};
use crate::url;

const BACKOFF_MIN: Duration = Duration::from_secs(1);
/// Also what a server may ask for at most.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// How an attempt ended that was no yes.
enum Refusal {
    /// Asking again may help, after this time if the server knows it.
    Passing(String, Option<Duration>),
    /// It will not.
    Final(String),
}

/// Calls a hook until it says yes (200, 201 or 202), says no, or the attempts are used up.
pub(crate) async fn call(
    transport: &Transport,
    hook: &Hook,
    payload: &HookPayload,
) -> Result<(), String> {
    let url = url::parse(&hook.url)?;
    let body = serde_json::to_string(payload).map_err(|error| error.to_string())?;
    let mut backoff = BACKOFF_MIN;
    for attempt in 1_u64.. {
        let pause = match once(transport, hook, &url, &body).await {
            Ok(()) => return Ok(()),
            Err(Refusal::Final(text)) => return Err(text),
            Err(Refusal::Passing(text, _)) if attempt > u64::from(hook.retries) => {
                let url = url::shown(&url);
                return Err(format!("POST {url} giving up after {attempt} attempt(s): {text}"));
            }
            Err(Refusal::Passing(_, pause)) => pause.unwrap_or(backoff),
        };
        tokio::time::sleep(pause.min(BACKOFF_MAX)).await;
        backoff = backoff.saturating_mul(2).min(BACKOFF_MAX);
    }
    Err("no attempt was made".to_owned())
}

async fn once(transport: &Transport, hook: &Hook, url: &Url, body: &str) -> Result<(), Refusal> {
    let request = transport.client(hook.insecure).post(url.clone());
    let request = request.header(CONTENT_TYPE, "application/json").body(body.to_owned());
    let reply = transport.send(request, hook.timeout).await?;
    match reply.status.as_u16() {
        200..=202 => Ok(()),
        429 | 500 | 502..=599 => Err(Refusal::Passing(told(&reply), reply.retry_after)),
        _ => Err(Refusal::Final(reply.excerpt())),
    }
}

fn told(reply: &Reply) -> String {
    let (status, text) = (reply.status.to_string(), reply.excerpt());
    if text == status { status } else { format!("{status}: {text}") }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Passing(text) => Self::Passing(text, None),
            Failure::Final(text) => Self::Final(text),
        }
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
    use crate::network::Network;

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
            insecure: false,
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

    async fn call(hook: &Hook, payload: &HookPayload) -> Result<(), String> {
        super::call(&Network::new().unwrap().questions, hook, payload).await
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
        assert_eq!(call(&gate, &payload).await, Err("why?".to_owned()));
        assert_eq!(seen.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn nobody_there_is_told_with_the_number_of_attempts() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        let (gate, payload) = hook(url, 0);
        let error = call(&gate, &payload).await.unwrap_err();
        let expected =
            format!("POST {} giving up after 1 attempt(s): connection failed: ", gate.url);
        assert!(error.starts_with(&expected), "{error}");
    }
}
