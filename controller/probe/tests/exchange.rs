//! Redirects, certificates, credentials and retries, as Flagger's users know them.

mod server;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::PrivatePkcs8KeyDer;
use serin_probe::{Access, Events, Login, Network, Question};
use serin_rollout::{Hook, HookKind, HookPayload, Notice, NoticeKind, Phase, Severity, Value};
use server::Server;
use tokio_rustls::TlsAcceptor;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK";

fn gate(url: String) -> Hook {
    Hook {
        name: "gate".to_owned(),
        kind: HookKind::ConfirmRollout,
        url,
        timeout: Duration::from_secs(5),
        retries: 0,
        insecure: false,
        metadata: BTreeMap::new(),
    }
}

async fn call(hook: Hook) -> Result<Value, String> {
    let payload = HookPayload {
        name: "shop".to_owned(),
        namespace: "prod".to_owned(),
        phase: Phase::Waiting,
        checksum: "v2".to_owned(),
        metadata: BTreeMap::new(),
    };
    let question = Question::Hook { hook, payload };
    question.ask(&Network::new().expect("a client"), &Access::default()).await
}

fn redirect(status: u16, to: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn redirects_are_followed_and_keep_the_body_where_they_say_so() {
    for (status, method, keeps) in [(307, "POST", true), (308, "POST", true), (302, "GET", false)] {
        let target = Server::saying(OK).await;
        let server = Server::saying(&redirect(status, &target.url("/there"))).await;
        assert_eq!(call(gate(server.url("/here"))).await, Ok(Value::Approved));
        let asked = target.heard().remove(0);
        assert!(asked.starts_with(&format!("{method} /there HTTP/1.1\r\n")), "{asked}");
        assert_eq!(asked.ends_with("\"metadata\":{}}"), keeps, "{asked}");
    }
}

#[tokio::test]
async fn a_circle_of_redirects_ends() {
    let server = Server::saying(&redirect(307, "/again")).await;
    let error = call(gate(server.url("/"))).await.unwrap_err();
    assert_eq!(error, "request failed: too many redirects");
    assert_eq!(server.heard().len(), 11);
}

#[tokio::test]
async fn a_certificate_that_nobody_signed_is_taken_only_if_the_author_says_so() {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let pair = PrivatePkcs8KeyDer::from(key.signing_key.serialize_der());
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], pair.into())
        .unwrap();
    let server = Server::saying_in_private(OK, TlsAcceptor::from(Arc::new(config))).await;
    let url = format!("https://localhost:{}/", server.port());
    let error = call(gate(url.clone())).await.unwrap_err();
    assert!(error.contains("invalid peer certificate"), "{error}");
    assert!(server.heard().is_empty());
    assert_eq!(call(Hook { insecure: true, ..gate(url) }).await, Ok(Value::Approved));
}

fn vector(value: &str) -> Vec<u8> {
    let body =
        format!(r#"{{"data":{{"resultType":"vector","result":[{{"value":[1,"{value}"]}}]}}}}"#);
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    (head + &body).into_bytes()
}

async fn ask(address: String, access: &Access) -> Result<Value, String> {
    let query = "sum(\n  rate(x{a=\"b c\"}[1m])\n)".to_owned();
    Question::Query { address, query }.ask(&Network::new().expect("a client"), access).await
}

#[tokio::test]
async fn a_query_carries_its_headers_and_its_credentials() {
    let headers = BTreeMap::from([
        ("X-Scope-OrgID".to_owned(), vec!["a".to_owned(), "b".to_owned()]),
        ("Authorization".to_owned(), vec!["none".to_owned()]),
    ]);
    let basic = Login::Basic { username: "u".to_owned(), password: "p:w".to_owned() };
    let bearer = Login::Bearer("t".to_owned());
    for (login, expected) in [(basic, "Basic dTpwOnc="), (bearer, "Bearer t")] {
        let server = Server::saying(&vector("0.5")).await;
        let access = Access { headers: headers.clone(), login: Some(login), ..Access::default() };
        let address = server.url("/prefix/").replace("http://", "http://other:one@");
        assert_eq!(ask(address, &access).await, Ok(Value::Number(0.5)));
        let asked = server.heard().remove(0);
        let line =
            "GET /prefix/api/v1/query?query=sum%28+rate%28x%7Ba%3D%22b+c%22%7D%5B1m%5D%29+%29 ";
        assert!(asked.starts_with(line), "{asked}");
        let lines: Vec<&str> = asked.lines().collect();
        assert!(lines.contains(&"x-scope-orgid: a") && lines.contains(&"x-scope-orgid: b"));
        let logins = lines.iter().filter(|it| it.starts_with("authorization: "));
        assert_eq!(logins.collect::<Vec<_>>(), [&format!("authorization: {expected}")]);
    }
}

#[tokio::test]
async fn credentials_stay_with_their_host() {
    let target = Server::saying(&vector("1")).await;
    let server = Server::saying(&redirect(302, &target.url("/"))).await;
    let login = Some(Login::Bearer("secret".to_owned()));
    let access = Access { login, ..Access::default() };
    assert_eq!(ask(server.url("/"), &access).await, Ok(Value::Number(1.0)));
    assert!(server.heard()[0].contains("Bearer secret"));
    assert!(!target.heard()[0].contains("secret"), "{}", target.heard()[0]);
}

#[tokio::test]
async fn a_server_says_how_long_it_wants_to_be_left_alone() {
    let busy = b"HTTP/1.1 503 X\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n";
    let server = Server::saying(busy).await;
    let url = server.url("/");
    let error = call(Hook { retries: 20, ..gate(url.clone()) }).await.unwrap_err();
    assert_eq!(error, format!("POST {url} giving up after 21 attempt(s): 503 Service Unavailable"));
    assert_eq!(server.heard().len(), 21);
}

#[tokio::test]
async fn what_is_no_header_is_said_so() {
    let headers = BTreeMap::from([("a header".to_owned(), vec!["x".to_owned()])]);
    let access = Access { headers, ..Access::default() };
    let error = ask("http://127.0.0.1:1".to_owned(), &access).await.unwrap_err();
    assert_eq!(error, "\"a header\" names no header");
}

#[tokio::test]
async fn events_arrive_in_order_with_their_own_words_before_the_authors() {
    let server = Server::saying(OK).await;
    let metadata = [("eventMessage", "mine"), ("team", "shop")];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let hook = Hook { kind: HookKind::Event, metadata, ..gate(server.url("/events")) };
    let mut events = Events::new(&Network::new().expect("a client"));
    let plan = plan();
    for number in 0..20 {
        events.tell(&plan, Some(&hook), "v2", &notice(&format!("event {number:02}")));
    }
    events.finish(Duration::from_secs(10)).await;
    let heard = server.heard();
    assert_eq!(heard.len(), 20);
    for (number, request) in heard.iter().enumerate() {
        let body = format!(
            r#"{{"name":"release","namespace":"prod","phase":"Progressing","checksum":"v2","metadata":{{"eventMessage":"event {number:02}","eventType":"Warning","team":"shop","timestamp":"1700000000123"}}}}"#
        );
        assert!(request.ends_with(&body), "{request}");
    }
}

fn notice(message: &str) -> Notice {
    Notice {
        at: jiff::Timestamp::from_millisecond(1_700_000_000_123).expect("a time"),
        kind: NoticeKind::Warning,
        severity: Severity::Warn,
        message: message.to_owned(),
        phase: Phase::Progressing,
        weight: serin_route::Weight::ZERO,
        verdict: None,
    }
}

fn plan() -> serin_rollout::Plan {
    serin_rollout::Plan {
        canary: "release".to_owned(),
        name: "store".to_owned(),
        target: "store".to_owned(),
        namespace: "prod".to_owned(),
        schedule: serin_rollout::Schedule::Ab { iterations: 1 },
        interval: Duration::from_secs(10),
        threshold: 1,
        checks: Vec::new(),
        hooks: Vec::new(),
        evidence: serin_rollout::Evidence::default(),
        routing: serin_rollout::Routing::default(),
        skip_analysis: false,
    }
}
