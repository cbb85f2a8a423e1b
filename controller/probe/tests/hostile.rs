//! Whatever a server answers: no panic, an end in bounded time, and an error that says what was wrong. Asked through the
//! crate's own surface.

mod server;

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use serin_probe::{Access, Network, Question};
use serin_rollout::{Hook, HookKind, HookPayload, Phase, Value};
use server::Server;
use tokio::runtime::Runtime;
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_millis(300);

fn hook(url: String) -> Question {
    let hook = Hook {
        name: "gate".to_owned(),
        kind: HookKind::ConfirmRollout,
        url,
        timeout: PATIENCE,
        retries: 0,
        insecure: false,
        metadata: BTreeMap::new(),
    };
    let payload = HookPayload {
        name: "shop".to_owned(),
        namespace: "prod".to_owned(),
        phase: Phase::Waiting,
        checksum: "v2".to_owned(),
        metadata: BTreeMap::new(),
    };
    Question::Hook { hook, payload }
}

fn query(address: String) -> Question {
    Question::Query { address, query: "up".to_owned() }
}

async fn ask(question: Question) -> Result<Value, String> {
    question.ask(&Network::new().expect("a client"), &Access::default()).await
}

async fn answered(body: &[u8]) -> Result<Value, String> {
    let server = Server::saying(&ok(body)).await;
    ask(query(server.url("/"))).await
}

fn ok(body: &[u8]) -> Vec<u8> {
    let mut all = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    all.extend_from_slice(body);
    all
}

#[tokio::test]
async fn what_is_no_answer_of_prometheus_is_an_error() {
    for body in [
        b"".as_slice(),
        b"{",
        b"null",
        b"\xff\xfe",
        br#"{"status":"success"}"#,
        br#"{"data":{"resultType":"vector","result":[{"value":[1]}]}}"#,
        br#"{"data":{"resultType":"vector","result":[{"value":[1,"many"]}]}}"#,
        br#"{"data":{"resultType":"vector","result":{}}}"#,
        "[".repeat(100_000).as_bytes(),
    ] {
        let answer = answered(body).await;
        assert!(answer.is_err(), "{:?}: {answer:?}", String::from_utf8_lossy(body));
    }
    let nan = br#"{"data":{"resultType":"vector","result":[{"value":[1,"NaN"]}]}}"#;
    assert_eq!(answered(nan).await, Ok(Value::NoData));
}

#[tokio::test]
async fn a_huge_answer_is_cut_off() {
    let server = Server::pouring(b"HTTP/1.1 200 OK\r\n\r\n", 8 << 20).await;
    let error = ask(query(server.url("/"))).await.unwrap_err();
    assert_eq!(error, "answer larger than 1048576 bytes");
    let server = Server::pouring(b"HTTP/1.1 200 OK\r\n", 8 << 20).await;
    assert!(ask(query(server.url("/"))).await.unwrap_err().starts_with("request failed"));
}

#[tokio::test]
async fn a_slow_drip_ends_with_the_time_of_the_hook() {
    for head in [b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n".as_slice(), b"HTTP/1.1 200 O"] {
        let server = Server::dripping(head).await;
        let begun = Instant::now();
        let error = ask(hook(server.url("/"))).await.unwrap_err();
        assert!(error.ends_with("no answer within 0.3 s"), "{error}");
        assert!(begun.elapsed() < 10 * PATIENCE);
    }
}

#[tokio::test]
async fn a_body_that_is_no_text_is_told_as_far_as_it_can_be() {
    let body = [b"no\xff\n\nway ".as_slice(), &[b'x'; 5000]].concat();
    let mut all =
        format!("HTTP/1.1 403 Forbidden\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    all.extend_from_slice(&body);
    let server = Server::saying(&all).await;
    let error = ask(hook(server.url("/"))).await.unwrap_err();
    assert!(error.starts_with("no\u{fffd} way xxx"), "{error}");
    assert_eq!(error.chars().count(), 300);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_on_the_wire_panic(bytes in hostile()) {
        Runtime::new().unwrap().block_on(async {
            let server = Server::saying(&bytes).await;
            let _ = ask(hook(server.url("/"))).await;
            let _ = ask(query(server.url("/"))).await;
        });
    }
}

/// Noise, half of it behind a head that promises an answer.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let heads = prop_oneof![
        Just(String::new()),
        Just("HTTP/1.1 200 OK\r\n\r\n".to_owned()),
        Just("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned()),
        Just("HTTP/1.1 302 Found\r\nlocation: ".to_owned()),
        Just("HTTP/1.1 503 No\r\nretry-after: ".to_owned()),
    ];
    let shape =
        r#"\{"data":\{"resultType":"(vector|scalar|matrix)","result":[\[\]{}:,"a-z0-9]{0,40}"#;
    let body = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        shape.prop_map(String::into_bytes),
    ];
    (heads, body).prop_map(|(head, body)| [head.into_bytes(), body].concat())
}
