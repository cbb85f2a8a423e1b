//! `load serve`: loads asked for over HTTP.

mod common;

use std::time::{Duration, Instant};

use anyhow::Result;
use common::{PATIENCE, Server, post};
use serde_json::{Value, json};

fn order(app: &Server, seconds: u32) -> String {
    let time = format!("{seconds}s");
    json!({"url": app.url(), "rps": 100, "for": time, "header": ["x-a: b"], "users": 5}).to_string()
}

/// Asks until so many loads are under way.
async fn running(service: &Server, count: usize) -> Result<Value> {
    let began = Instant::now();
    loop {
        let running = service.get("/running").await?.json();
        if running["running"].as_array().is_some_and(|it| it.len() == count) {
            return Ok(running);
        }
        anyhow::ensure!(began.elapsed() < PATIENCE, "{running}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_load_is_sent_when_asked_and_its_result_is_the_answer() -> Result<()> {
    let (app, service) = (Server::faulty(&["--fail", "50%"])?, Server::load()?);
    let order = order(&app, 1);
    let run = service.send("POST", "/run", &order);
    let watch = async {
        let running = running(&service, 1).await?;
        assert_eq!(running["running"][0]["planned"], 100);
        assert_eq!(running["running"][0]["options"]["user-header"], "x-user");
        anyhow::Ok(())
    };
    let (answer, watched) = tokio::join!(run, watch);
    watched?;
    let (answer, counts) = (answer?, app.get("/counts").await?.json());
    assert_eq!((answer.status, &answer.json()["status"]), (200, &counts["answers"]));
    assert_eq!(answer.json()["failures"]["app"], counts["faults"]);
    running(&service, 0).await?;
    Ok(())
}

#[tokio::test]
async fn all_loads_end_early_when_told() -> Result<()> {
    let (app, mut service) = (Server::faulty(&[])?, Server::load()?);
    let order = order(&app, 300);
    for by_signal in [false, true] {
        let runs = async {
            tokio::join!(service.send("POST", "/run", &order), service.send("POST", "/run", &order))
        };
        let stop = async {
            running(&service, 2).await?;
            if by_signal {
                service.signal("TERM")?;
            } else {
                assert_eq!(service.send("POST", "/stop", "").await?.json()["ended"], 2);
            }
            anyhow::Ok(())
        };
        let ((one, two), stopped) = tokio::join!(runs, stop);
        stopped?;
        for answer in [one?, two?] {
            assert_eq!((answer.status, &answer.json()["interrupted"]), (200, &json!(true)));
            assert_eq!(answer.json()["planned"], 30_000);
        }
    }
    assert_eq!(service.ended().await?.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn who_hangs_up_ends_the_load() -> Result<()> {
    let (app, service) = (Server::faulty(&[])?, Server::load()?);
    let order = order(&app, 300);
    tokio::select! {
        answer = service.send("POST", "/run", &order) => anyhow::bail!("{answer:?}"),
        running = running(&service, 1) => drop(running?),
    }
    running(&service, 0).await?;
    let counts = app.get("/counts").await?.json();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(app.get("/counts").await?.json(), counts, "no request comes any more");
    Ok(())
}

#[tokio::test]
async fn wrong_orders_and_too_many_are_refused() -> Result<()> {
    let (app, service) = (Server::faulty(&[])?, Server::load()?);
    for (body, told) in [
        ("{", "must be a JSON object of the options: "),
        (
            r#"{"url": "http://a/", "rps": 1}"#,
            "must be a JSON object of the options: missing field `for`",
        ),
        (
            r#"{"url": "http://a/", "rps": -1, "for": "1s"}"#,
            "rps: must be from 0.01 to 10000, not -1",
        ),
    ] {
        let answer = service.send("POST", "/run", body).await?;
        let error = answer.json()["error"].as_str().unwrap_or_default().to_owned();
        assert_eq!(answer.status, 400);
        assert!(error.starts_with(told), "{error}");
    }
    assert_eq!(service.get("/run").await?.status, 404);
    let order = order(&app, 300);
    let mut eight = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (address, order) = (service.address, order.clone());
        eight.spawn(async move { post(address, "/run", &order).await });
    }
    running(&service, 8).await?;
    let ninth = service.send("POST", "/run", &order).await?;
    assert_eq!(
        (ninth.status, &ninth.json()["error"]),
        (429, &json!("8 loads are under way, which is all there may be"))
    );
    service.send("POST", "/stop", "").await?;
    for answer in eight.join_all().await {
        assert_eq!(answer?.status, 200);
    }
    Ok(())
}
