//! `faulty` as a program: every fault, and both ways to end.

mod common;

use std::time::{Duration, Instant};

use anyhow::Result;
use common::{Server, refused};
use serde_json::json;

#[tokio::test]
async fn every_answer_names_its_maker() -> Result<()> {
    let app = Server::faulty(&["--version-name", "v7", "--pod-name", "web-0"])?;
    let answer = app.get("/some/path?x=1").await?;
    assert_eq!(answer.status, 200);
    let made_by = (answer.header("x-app-version"), answer.header("x-app-pod"));
    assert_eq!(made_by, (Some("v7"), Some("web-0")));
    let page = json!({"version": "v7", "pod": "web-0", "path": "/some/path", "fault": null});
    assert_eq!(answer.json(), page);
    assert_eq!(answer.header("x-app-fault"), None);
    assert_eq!(app.http2("/").await?.header("x-app-version"), Some("v7"));
    Ok(())
}

#[tokio::test]
async fn a_request_gets_what_it_orders() -> Result<()> {
    // The pod's own faults do not befall it.
    let app = Server::faulty(&["--fail", "100%", "--codes", "500"])?;
    for answer in [app.get("/?status=503").await?, app.with_header("x-fault-status", "503").await?]
    {
        assert_eq!((answer.status, answer.header("x-app-fault")), (503, Some("ordered")));
    }
    let began = Instant::now();
    assert_eq!(app.with_header("x-fault-delay", "150ms").await?.status, 200);
    assert!(began.elapsed() >= Duration::from_millis(150));
    let wrong = app.get("/?status=1000").await?;
    assert_eq!((wrong.status, wrong.header("x-app-fault")), (400, None));
    assert_eq!(wrong.json()["error"], "status: must be a status from 200 to 599, not 1000");
    let drawn = app.get("/").await?;
    assert_eq!((drawn.status, drawn.header("x-app-fault")), (500, Some("drawn")));
    Ok(())
}

#[tokio::test]
async fn a_reset_closes_the_connection_or_resets_the_stream() -> Result<()> {
    let app = Server::faulty(&[])?;
    let error = app.with_header("x-fault-reset", "true").await.expect_err("no answer");
    assert!(format!("{error:#}").contains("connection closed"), "{error:#}");
    let error = app.http2("/?reset=true").await.expect_err("no answer");
    let source = error.downcast_ref::<hyper::Error>().expect("the client's error");
    assert!(format!("{source:?}").contains("Reset"), "{source:?}");
    assert_eq!(
        app.get("/counts").await?.json(),
        json!({
            "answers": {}, "faults": 0, "resets": 2, "probes": 0,
        })
    );
    Ok(())
}

#[tokio::test]
async fn faults_change_while_it_runs_and_probes_stay_good() -> Result<()> {
    let app = Server::faulty(&["--fail", "100%", "--codes", "503"])?;
    assert_eq!(app.get("/").await?.status, 503);
    for probe in ["/healthz", "/readyz"] {
        assert_eq!(app.get(probe).await?.status, 200, "{probe}");
    }
    let changed = app.send("POST", "/faults", r#"{"codes": [429], "delay": "30ms"}"#).await?;
    assert_eq!((changed.status, &changed.json()["fail"]), (200, &json!(1.0)));
    let began = Instant::now();
    assert_eq!(app.get("/").await?.status, 429);
    assert!(began.elapsed() >= Duration::from_millis(30));
    assert_eq!(app.get("/faults").await?.json()["codes"], json!([429]));
    let wrong = app.send("POST", "/faults", r#"{"fail": "lots"}"#).await?;
    let told = "fail: must be a share like 5% or 0.05, not \"lots\"";
    assert_eq!((wrong.status, &wrong.json()["error"]), (400, &json!(told)));
    app.send("POST", "/faults", r#"{"probes": true, "delay": "0"}"#).await?;
    assert_eq!((app.get("/healthz").await?.status, app.get("/readyz").await?.status), (429, 429));
    app.send("DELETE", "/faults", "").await?;
    assert_eq!((app.get("/").await?.status, app.get("/readyz").await?.status), (503, 200));
    Ok(())
}

#[tokio::test]
async fn readiness_is_ordered_apart_from_requests() -> Result<()> {
    let app = Server::faulty(&["--readiness", "never"])?;
    let unready = app.get("/readyz").await?;
    assert_eq!(
        (unready.status, &unready.json()["error"]),
        (503, &json!("never ready, as ordered"))
    );
    assert_eq!((app.get("/").await?.status, app.get("/healthz").await?.status), (200, 200));
    app.send("POST", "/faults", r#"{"readiness": "flap", "flap": "60ms"}"#).await?;
    let mut changes = Vec::new();
    let began = Instant::now();
    while began.elapsed() < common::PATIENCE && changes.len() < 4 {
        let status = app.get("/readyz").await?.status;
        if changes.last() != Some(&status) {
            changes.push(status);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(matches!(changes[..], [200, 503, 200, 503] | [503, 200, 503, 200]), "{changes:?}");
    Ok(())
}

#[tokio::test]
async fn a_slow_start_is_unready_and_keeps_requests_waiting() -> Result<()> {
    let began = Instant::now();
    let app = Server::faulty(&["--slow-start", "700ms"])?;
    assert_eq!(app.get("/readyz").await?.json()["error"], "starting");
    assert_eq!(app.get("/").await?.status, 200);
    assert!(began.elapsed() >= Duration::from_millis(600), "{:?}", began.elapsed());
    assert_eq!(app.get("/readyz").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn sigterm_drains() -> Result<()> {
    let mut app = Server::faulty(&["--linger", "400ms"])?;
    let address = app.address;
    let under_way = async { app.get("/?delay=1s").await };
    let ending = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        app.signal("TERM")?;
        tokio::time::sleep(Duration::from_millis(100)).await;
        // It lingers: not ready, but whoever has not heard is served.
        let unready = app.get("/readyz").await?;
        assert_eq!((unready.status, &unready.json()["error"]), (503, &json!("draining")));
        assert_eq!(app.get("/").await?.status, 200);
        anyhow::Ok(())
    };
    let (answer, ending) = tokio::join!(under_way, ending);
    ending?;
    assert_eq!(answer?.status, 200, "what was under way is answered");
    assert_eq!(app.ended().await?.code(), Some(0));
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
    Ok(())
}

#[tokio::test]
async fn a_drain_has_an_end() -> Result<()> {
    let mut app = Server::faulty(&["--drain-max", "200ms"])?;
    let under_way = async { app.get("/?delay=1m").await };
    let ending = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        app.signal("TERM")
    };
    let (answer, ending) = tokio::join!(under_way, ending);
    ending?;
    assert!(answer.is_err(), "it was cut off");
    assert_eq!(app.ended().await?.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn sigterm_may_cut_everything_off() -> Result<()> {
    let mut app = Server::faulty(&["--on-term", "exit"])?;
    let under_way = async { app.get("/?delay=1m").await };
    let ending = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        app.signal("TERM")
    };
    let (answer, ending) = tokio::join!(under_way, ending);
    ending?;
    assert!(answer.is_err());
    assert_eq!(app.ended().await?.code(), Some(143));
    Ok(())
}

#[tokio::test]
async fn it_crashes_when_it_is_told_to() -> Result<()> {
    let mut app = Server::faulty(&[])?;
    let under_way = async { app.get("/?delay=1m").await };
    let crash = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        app.send("POST", "/crash", "").await
    };
    let (answer, crash) = tokio::join!(under_way, crash);
    assert!(answer.is_err() && crash.is_err());
    assert_eq!(app.ended().await?.code(), Some(1));
    Ok(())
}

#[test]
fn wrong_usage_is_2_and_told() -> Result<()> {
    let program = env!("CARGO_BIN_EXE_faulty");
    for (words, told) in [
        (&["--fail", "5"][..], "must be a share like 5% or 0.05, not \"5\", from 0 to 1"),
        (&["--codes", "500,9"], "faulty: codes: must be a status from 200 to 599, not 9"),
        (&["--fail", "60%", "--reset", "60%"], "no request can meet both"),
        (&["--drain-max", "1h"], "--drain-max: must be at most 10m, not 1h"),
        (&["--pod-name", "a b"], "--pod-name: must be 1 to 253 visible ASCII characters"),
        (&["--listen", "nowhere"], "faulty: cannot listen on nowhere: "),
    ] {
        let (code, text) = refused(program, words)?;
        assert_eq!(code, Some(2), "{words:?}");
        assert!(text.contains(told), "{words:?}: {text}");
    }
    Ok(())
}

#[test]
fn help_teaches() -> Result<()> {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_faulty")).arg("--help").output()?;
    let text = String::from_utf8(output.stdout)?;
    for word in ["x-fault-status: 503", "POST   /faults", "--slow-start", "FAULTY_FAIL"] {
        assert!(text.contains(word), "{word} is missing:\n{text}");
    }
    Ok(())
}
