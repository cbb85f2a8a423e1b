//! `load` against `faulty`: what one counts, the other has done.

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context as _, Result};
use common::{Server, load, outcome, refused};
use serde_json::json;
use serin_e2e_apps::load::Failures;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

#[tokio::test]
async fn both_count_the_same() -> Result<()> {
    let app = Server::faulty(&[
        "--version-name",
        "v2",
        "--fail",
        "20%",
        "--codes",
        "500,503",
        "--reset",
        "10%",
    ])?;
    let words = ["--rps", "300", "--for", "2s", "--concurrency", "600", "--output", "json"];
    let outcome = outcome(&load(&[&[app.url().as_str()][..], &words].concat()).await?)?;
    assert_eq!((outcome.planned, outcome.sent, outcome.skipped), (600, 600, 0));
    assert!(!outcome.interrupted);
    let counts = app.get("/counts").await?.json();
    assert_eq!(json!(outcome.status), counts["answers"]);
    let (faults, resets) = (counts["faults"].as_u64(), counts["resets"].as_u64());
    let failures = Failures {
        app: faults.context("faults")?,
        transport: resets.context("resets")?,
        ..Failures::default()
    };
    assert_eq!(outcome.failures, failures);
    // Five standard deviations of 120 and 60 among 600.
    assert!((71..169).contains(&failures.app) && (23..97).contains(&failures.transport));
    assert_eq!(
        outcome.transport,
        BTreeMap::from([("closed without an answer".into(), failures.transport)])
    );
    assert_eq!(outcome.answered, 600 - failures.transport);
    assert_eq!(outcome.versions, BTreeMap::from([("v2".into(), outcome.answered)]));
    Ok(())
}

#[tokio::test]
async fn slow_answers_hold_up_nothing_but_take_places() -> Result<()> {
    let app = Server::faulty(&["--delay", "300ms"])?;
    let url = app.url();
    let words = [&url, "--rps", "40", "--for", "1s", "--concurrency", "4", "--output", "json"];
    let outcome = outcome(&load(&words).await?)?;
    assert_eq!(outcome.sent + outcome.skipped, 40);
    assert_eq!(outcome.answered, outcome.sent);
    assert!((4..=20).contains(&outcome.sent), "four at once, each 300 ms: {}", outcome.sent);
    let latency = outcome.latency_ms.context("latencies")?;
    assert!(latency.p50 >= 300.0 && latency.p50 <= latency.p99 && latency.p99 <= latency.max);
    Ok(())
}

#[tokio::test]
async fn whoever_does_not_answer_is_told_apart() -> Result<()> {
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", silent.local_addr()?);
    let words = ["--rps", "10", "--for", "1s", "--timeout", "100ms", "--output", "json"];
    let waited = outcome(&load(&[&[url.as_str()][..], &words].concat()).await?)?;
    assert_eq!(waited.transport, BTreeMap::from([("timeout".into(), 10)]));
    drop(silent);
    let refused = outcome(&load(&[&[url.as_str()][..], &words].concat()).await?)?;
    assert_eq!(refused.transport, BTreeMap::from([("not connected".into(), 10)]));
    assert_eq!((refused.answered, refused.latency_ms), (0, None));
    Ok(())
}

/// Answers everything with the same bytes; what it heard.
async fn canned(head: &'static str) -> Result<(String, tokio::task::JoinHandle<Vec<String>>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/path", listener.local_addr()?);
    let hearing = tokio::spawn(async move {
        let mut requests = Vec::new();
        while requests.len() < 6 {
            let Ok((mut stream, _)) = listener.accept().await else { break };
            let mut bytes = vec![0; 4096];
            let size = stream.read(&mut bytes).await.unwrap_or(0);
            requests.push(String::from_utf8_lossy(&bytes[..size]).to_lowercase());
            let answer =
                format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
        requests
    });
    Ok((url, hearing))
}

#[tokio::test]
async fn a_failure_without_an_apps_header_is_a_proxys() -> Result<()> {
    for (head, failures) in [
        (
            "503 Busy\r\nx-envoy-upstream-service-time: 3",
            Failures { envoy: 6, ..Failures::default() },
        ),
        ("503 Busy\r\nx-app-version: v1", Failures { unmarked: 6, ..Failures::default() }),
        ("404 Gone\r\nserver: envoy", Failures::default()),
    ] {
        let (url, _hearing) = canned(head).await?;
        let words = [&url, "--rps", "60", "--for", "100ms", "--output", "json"];
        assert_eq!(outcome(&load(&words).await?)?.failures, failures, "{head}");
    }
    Ok(())
}

#[tokio::test]
async fn requests_carry_what_they_were_given() -> Result<()> {
    let (url, hearing) = canned("200 OK\r\nx-build: 8").await?;
    let more =
        ["--host", "shop.test", "--header", "x-a: b", "--header", "x-c: d: e", "--users", "3"];
    let version = ["--user-header", "x-who", "--version-header", "x-build", "--output", "json"];
    let words = [&[url.as_str(), "--rps", "60", "--for", "100ms"][..], &more, &version].concat();
    let outcome = outcome(&load(&words).await?)?;
    assert_eq!(outcome.versions, BTreeMap::from([("8".into(), 6)]));
    let heard = hearing.await?;
    for request in &heard {
        assert!(request.starts_with("get /path http/1.1\r\n"), "{request}");
        for line in ["host: shop.test", "x-a: b", "x-c: d: e"] {
            assert!(request.contains(&format!("\r\n{line}\r\n")), "{line} is missing: {request}");
        }
    }
    let user = |request: &String| Some(request.split("x-who: ").nth(1)?.lines().next()?.to_owned());
    let users: BTreeSet<String> = heard.iter().filter_map(user).collect();
    assert_eq!(users, BTreeSet::from(["user-0".into(), "user-1".into(), "user-2".into()]));
    Ok(())
}

#[tokio::test]
async fn ctrl_c_ends_it_early_and_its_result_is_printed() -> Result<()> {
    let app = Server::faulty(&["--delay", "100ms"])?;
    let child = tokio::process::Command::new(env!("CARGO_BIN_EXE_load"))
        .args([&app.url(), "--rps", "50", "--for", "5m"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()?;
    let id = child.id().context("it runs")?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    common::signal(id, "INT")?;
    let output = tokio::time::timeout(common::PATIENCE, child.wait_with_output()).await??;
    assert!(output.status.success(), "{}", output.status);
    let table = String::from_utf8(output.stdout)?;
    assert!(table.contains(" s, ended early\n  planned   15000, sent "), "{table}");
    assert!(
        table.contains("\n  status    200 ") && table.contains("\n  latency   p50 1"),
        "{table}"
    );
    let counts = app.get("/counts").await?.json();
    let served = counts["answers"]["200"].as_u64().context("answers")?;
    assert!(table.contains(&format!("sent {served}, skipped 0, answered {served}\n")), "{table}");
    Ok(())
}

#[test]
fn wrong_usage_is_2_and_told() -> Result<()> {
    let program = env!("CARGO_BIN_EXE_load");
    let rate = ["--rps", "1", "--for", "1s"];
    let with = |words: &[&'static str]| [words, &rate].concat();
    for (words, told) in [
        (vec!["http://a/"], "--rps <N>"),
        (with(&["ftp://a/"]), "load: url: must be http://HOST[:PORT][/PATH], not \"ftp://a/\""),
        (with(&["http://a/", "--header", "x"]), "load: header: must be `NAME: VALUE`, not \"x\""),
        (vec!["http://a/", "--rps", "1", "--for", "soon"], "must be a duration like 30s"),
        (vec!["serve", "--listen", "nowhere"], "load: cannot listen on nowhere: "),
        (vec![], "Usage: load"),
    ] {
        let (code, text) = refused(program, &words)?;
        assert_eq!(code, Some(2), "{words:?}");
        assert!(text.contains(told), "{words:?}: {text}");
    }
    Ok(())
}
