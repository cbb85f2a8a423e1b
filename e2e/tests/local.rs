//! `serin local` as a person runs it: how releases end, what webhooks and queries do, and that no Envoy stays behind.

#[path = "local/faults.rs"]
mod faults;
#[path = "local/program.rs"]
mod program;
#[path = "local/service.rs"]
mod service;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use program::{Desk, Order, Program, gone, left_behind, signal};
use serde_json::Value;
use serin_e2e::{
    client::{Ask, Client},
    eventually,
    load::Steady,
    modules,
    upstream::{Act, Upstream},
};
use service::Service;

/// A Canary with more lines in its analysis, indented by four spaces.
fn canary(analysis: &str) -> String {
    format!(
        "apiVersion: serin.dev/v1beta1
kind: Canary
metadata: {{name: shop, namespace: prod}}
spec:
  targetRef: {{apiVersion: apps/v1, kind: Deployment, name: shop}}
  service: {{port: 80}}
  analysis:
    interval: 2s
    threshold: 2
    steps: [{{setWeight: 20}}, {{setWeight: 50}}]
    evidence: {{latencyWarmup: 0s, block: 2s}}
{analysis}"
    )
}

/// Two upstreams, the program between them, and a steady load.
struct Scene {
    desk: Desk,
    primary: Upstream,
    canary: Upstream,
    program: Program,
    load: Steady,
}

impl Scene {
    async fn set(canary_yaml: &str, act: Act) -> Result<Self> {
        let desk = Desk::with(canary_yaml)?;
        let primary = Upstream::start("shop-primary").await?;
        let canary = Upstream::start("shop-canary").await?;
        canary.act(act);
        let program = start(&desk, &primary, &canary, &[]).await?;
        let load = load(&program);
        Ok(Self { desk, primary, canary, program, load })
    }
}

async fn start(
    desk: &Desk,
    primary: &Upstream,
    canary: &Upstream,
    words: &[&str],
) -> Result<Program> {
    Program::start(Order {
        desk,
        primary: vec![primary.address()],
        canary: vec![canary.address()],
        words: words.iter().map(|word| (*word).to_owned()).collect(),
    })
    .await
}

/// About a hundred requests per second.
fn load(program: &Program) -> Steady {
    let client = Client::new(program.address);
    Steady::start(&client, 4, Duration::from_millis(40), |_| Ask::get("shop", "/"))
}

/// A part of a notice, and the weight in percent.
fn percent(notice: &Value) -> Option<u64> {
    let percent = notice["weightPercent"].as_f64()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
    Some(percent as u64)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_version_is_promoted_and_no_request_fails() -> Result<()> {
    let Scene { desk, primary, canary, mut program, load } =
        Scene::set(&canary(""), Act::Answer).await?;
    program.until("Promoted").await?;
    let split = load.stop().await?;
    let (status, last) = program.ending().await?;
    ensure!(status.code() == Some(0), "{status}: {:#?}", program.told);
    ensure!(last["outcome"] == "promoted" && last["canary"]["failures"] == 0, "{last:#}");
    ensure!(split.errors == 0 && split.neither == 0, "{split:?}");
    ensure!(split.canary > 0 && split.primary > 0, "{split:?}");
    ensure!(canary.heard_with("x-serin-track") + primary.heard_with("x-serin-track") == 0);

    let weights: Vec<Option<u64>> = program.told.iter().map(percent).collect();
    let rises = weights.iter().flatten().collect::<Vec<_>>();
    ensure!(rises.contains(&&20) && rises.contains(&&50), "{rises:?}");
    let page = std::fs::read_to_string(desk.path("report.html"))?;
    ensure!(page.contains("shop.prod"), "the report does not name the release");
    ensure!(left_behind(&desk.path(""))?.is_empty(), "{:?}", left_behind(&desk.path(""))?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_version_is_quarantined_then_rolled_back() -> Result<()> {
    let Scene { desk: _desk, primary, canary, mut program, load } =
        Scene::set(&canary(""), Act::Status(500)).await?;
    let quarantined = program.until("Quarantined").await?;
    ensure!(quarantined["verdict"]["action"] == "Quarantine", "{quarantined:#}");
    program.until("RolledBack").await?;
    let split = load.stop().await?;
    let (status, last) = program.ending().await?;
    ensure!(status.code() == Some(1), "{status}: {:#?}", program.told);
    ensure!(last["outcome"] == "rolled-back" && last["phase"] == "Failed", "{last:#}");
    ensure!(split.errors == split.canary, "only the canary failed: {split:?}");
    ensure!(!canary.heard().is_empty() && !primary.heard().is_empty());
    Ok(())
}

/// Ends the program by a signal in the midst of a release; its exit code, if it still had a say.
async fn end_by(name: &str) -> Result<Option<i32>> {
    let Scene { desk, primary, canary, mut program, load, .. } =
        Scene::set(&canary(""), Act::Answer).await?;
    program.until("Advanced").await?;
    let envoy = program.envoy()?;
    let client = Client::new(program.address);
    drop(load);
    signal(program.id()?, name).await?;
    let (status, _) = program.ending().await?;
    gone(envoy).await?;
    ensure!(client.send(&Ask::get("shop", "/")).await.is_err(), "somebody still listens");
    if name != "KILL" {
        ensure!(left_behind(&desk.path(""))?.is_empty(), "{:?}", left_behind(&desk.path(""))?);
        ensure!(desk.path("report.html").exists(), "what was seen so far is worth a report");
    }
    drop((primary, canary));
    Ok(status.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_leaves_no_envoy_behind() -> Result<()> {
    ensure!(end_by("INT").await? == Some(130));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_leaves_no_envoy_behind() -> Result<()> {
    ensure!(end_by("TERM").await? == Some(130));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sigkill_leaves_no_envoy_behind() -> Result<()> {
    ensure!(end_by("KILL").await?.is_none());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_dies_ends_the_program_with_its_log() -> Result<()> {
    let scene = Scene::set(&canary(""), Act::Answer).await?;
    let Scene { desk: _desk, primary: _primary, canary: _canary, mut program, load } = scene;
    program.until("Advanced").await?;
    drop(load);
    signal(program.envoy()?, "KILL").await?;
    let (status, _) = program.ending().await?;
    let said = program.complaints().await?;
    ensure!(status.code() == Some(3), "{status}: {said}");
    ensure!(said.contains("envoy ended with signal: 9"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_release_is_carried_on_from_its_state() -> Result<()> {
    let slow = canary("").replace("interval: 2s", "interval: 60s");
    let desk = Desk::with(&slow)?;
    let (primary, canary) =
        (Upstream::start("shop-primary").await?, Upstream::start("shop-canary").await?);
    let state = desk.path("state.json");
    let words = ["--state", state.to_str().context("a path of letters")?];
    let read = || -> Result<Value> { Ok(serde_json::from_slice(&std::fs::read(&state)?)?) };

    let mut program = start(&desk, &primary, &canary, &words).await?;
    program.until("Advanced").await?;
    signal(program.id()?, "KILL").await?;
    program.ending().await?;
    let before = read()?;

    let program = start(&desk, &primary, &canary, &words).await?;
    let client = Client::new(program.address);
    eventually("the canary's share of traffic", async || {
        let answer = client.send(&Ask::get("shop", "/")).await.ok()?;
        answer.by_canary().ok()?.then_some(())
    })
    .await?;
    let after = read()?;
    for field in ["id", "salt", "nonce", "weight"] {
        let of = |state: &Value| state["status"]["run"][field].clone();
        ensure!(of(&before) == of(&after), "{before:#} {after:#}");
    }
    ensure!(!program.kinds().contains(&"RunStarted"), "{:?}", program.kinds());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_belongs_to_one_program_at_a_time() -> Result<()> {
    let desk = Desk::with(&canary(""))?;
    let (primary, canary) =
        (Upstream::start("shop-primary").await?, Upstream::start("shop-canary").await?);
    let state = desk.path("state.json");
    let words = ["--state", state.to_str().context("a path of letters")?];
    let first = start(&desk, &primary, &canary, &words).await?;
    let second = start(&desk, &primary, &canary, &words).await.err().context("both run")?;
    ensure!(second.to_string().contains("another serin carries out its release"), "{second}");
    signal(first.id()?, "KILL").await?;
    gone(first.id()?).await?;
    start(&desk, &primary, &canary, &words).await?;
    Ok(())
}

/// The directory of the state goes while a version fails: what protects users is done all the same, and told.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_place_for_its_state_a_release_gets_no_more_and_is_rolled_back() -> Result<()> {
    let slow = canary("").replace("interval: 2s", "interval: 4s");
    let desk = Desk::with(&slow)?;
    let (primary, canary) =
        (Upstream::start("shop-primary").await?, Upstream::start("shop-canary").await?);
    std::fs::create_dir(desk.path("kept"))?;
    let state = desk.path("kept/state.json");
    let words = ["--state", state.to_str().context("a path of letters")?];
    let mut program = start(&desk, &primary, &canary, &words).await?;
    let load = load(&program);
    program.until("Advanced").await?;
    std::fs::remove_dir_all(desk.path("kept"))?;
    let warning = program.until("Warning").await?;
    let message = warning["message"].as_str().unwrap_or_default();
    ensure!(message.contains("cannot keep the release's status"), "{warning:#}");
    tokio::time::sleep(Duration::from_secs(5)).await;
    canary.act(Act::Status(500));
    program.until("RolledBack").await?;
    let split = load.stop().await?;
    let (status, last) = program.ending().await?;
    ensure!(status.code() == Some(4), "{status}: {last:#}");
    ensure!(last["outcome"] == "rolled-back" && last["unsaved"].is_string(), "{last:#}");
    ensure!(
        split.errors <= split.canary && split.neither == 0,
        "only the canary failed: {split:?}"
    );
    let most = program.told.iter().filter_map(percent).max();
    ensure!(most == Some(20), "the weight rose to {most:?} with nothing to keep it");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn gates_hold_events_are_told_and_a_rollback_hook_ends_it() -> Result<()> {
    let service = Service::start().await?;
    service.says("/gate", 403);
    service.says("/undo", 404);
    let at = service.address;
    let hooks = format!(
        "    webhooks:
    - {{name: gate, type: confirm-rollout, url: 'http://{at}/gate'}}
    - {{name: undo, type: rollback, url: 'http://{at}/undo'}}
    - {{name: tell, type: event, url: 'http://{at}/tell', metadata: {{team: shop}}}}
    - {{name: after, type: post-rollout, url: 'http://{at}/after'}}
"
    );
    let slow = canary(&hooks).replace("setWeight: 50", "pause: {}");
    let scene = Scene::set(&slow, Act::Answer).await?;
    let Scene { desk: _desk, primary: _primary, canary, mut program, load } = scene;
    let closed = program.until("GateClosed").await?;
    ensure!(closed["phase"] == "Waiting", "{closed:#}");
    ensure!(canary.heard().is_empty(), "a closed gate lets nobody through");
    let body = service.calls("/gate").pop().context("the gate was not asked")?;
    ensure!(body["name"] == "shop" && body["namespace"] == "prod", "{body:#}");
    ensure!(body["phase"] == "Waiting" || body["phase"] == "Initialized", "{body:#}");

    service.says("/gate", 200);
    program.until("Advanced").await?;
    service.says("/undo", 200);
    program.until("RolledBack").await?;
    drop(load);
    let (status, last) = program.ending().await?;
    ensure!(status.code() == Some(1), "{status}: {last:#}");
    ensure!(service.calls("/after").len() == 1, "{:?}", service.calls("/after"));
    let events = service.calls("/tell");
    ensure!(events.iter().all(|event| event["metadata"]["team"] == "shop"), "{events:#?}");
    let of = |word| {
        let is = |event: &&Value| event["metadata"]["eventType"] == word;
        events.iter().filter(is).count()
    };
    ensure!(of("Normal") > 0 && of("Warning") > 0, "{events:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_out_of_bounds_rolls_back_after_its_threshold() -> Result<()> {
    let prometheus = Service::start().await?;
    prometheus.knows(99.0);
    let metrics = "    metrics:
    - name: saturation
      templateRef: {name: saturation}
      thresholdRange: {max: 90}
      interval: 1m
";
    let template = format!(
        "---
apiVersion: serin.dev/v1beta1
kind: MetricTemplate
metadata: {{name: saturation, namespace: prod}}
spec:
  provider: {{type: prometheus, address: 'http://{}'}}
  query: 'max(saturation{{app=\"{{{{ target }}}}\"}})'
",
        prometheus.address
    );
    let file = canary(metrics) + &template;
    let scene = Scene::set(&file, Act::Answer).await?;
    let Scene { desk: _desk, primary: _primary, canary: _canary, mut program, load } = scene;
    let failed = program.until("CheckFailed").await?;
    let message = failed["message"].as_str().unwrap_or_default();
    ensure!(message.contains("saturation 99"), "{failed:#}");
    program.until("RolledBack").await?;
    load.stop().await?;
    let (status, last) = program.ending().await?;
    ensure!(status.code() == Some(1) && last["outcome"] == "rolled-back", "{status}: {last:#}");
    let failures = program.kinds().iter().filter(|kind| **kind == "CheckFailed").count();
    ensure!(failures == 2, "{:?}", program.kinds());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_match_sends_exactly_those_requests_to_the_canary() -> Result<()> {
    let analysis = "    iterations: 2
    match:
    - headers: {x-beta: {exact: 'yes'}}
";
    let by_match = canary(analysis).replace("    steps: [{setWeight: 20}, {setWeight: 50}]\n", "");
    let scene = Scene::set(&by_match, Act::Answer).await?;
    let Scene { desk: _desk, primary: _primary, canary, mut program, load } = scene;
    program.until("Advanced").await?;
    let client = Client::new(program.address);
    let beta = || Ask::get("shop", "/").header("x-beta", "yes");
    eventually("the canary for the beta's users", async || {
        client.send(&beta()).await.ok()?.by_canary().ok()?.then_some(())
    })
    .await?;
    for _ in 0..20 {
        ensure!(client.send(&beta()).await?.by_canary()?, "a beta user was served by primary");
    }
    let heard = canary.heard();
    ensure!(heard.iter().all(|request| request.headers.contains_key("x-beta")), "{heard:#?}");
    program.until("Promoted").await?;
    drop(load);
    ensure!(program.ending().await?.0.success());
    Ok(())
}

/// Runs the program with another filter until it says what is wrong with it; meanwhile requests are answered by primary.
async fn says_of_filter(module: &[u8], words: &str) -> Result<()> {
    let desk = Desk::with(&canary(""))?;
    std::fs::write(desk.path("filter.wasm"), module)?;
    let primary = Upstream::start("shop-primary").await?;
    let canary = Upstream::start("shop-canary").await?;
    let mut program = start(&desk, &primary, &canary, &[]).await?;
    let load = load(&program);
    program
        .until_one(|notice| {
            let message = notice["message"].as_str().unwrap_or_default();
            notice["kind"] == "Warning" && message.contains(words)
        })
        .await?;
    let split = load.stop().await?;
    ensure!(split.errors == 0 && split.canary == 0 && split.neither == 0, "{split:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_cannot_be_loaded_is_told_and_primary_serves() -> Result<()> {
    says_of_filter(&modules::corrupt(), "Envoy refused the filter").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_does_not_report_is_told_and_primary_serves() -> Result<()> {
    says_of_filter(&modules::empty()?, "the filter does not report").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_is_gone_gets_no_more_requests() -> Result<()> {
    let Scene { desk: _desk, primary, canary, mut program, load } =
        Scene::set(&canary("").replace("interval: 2s", "interval: 60s"), Act::Answer).await?;
    program.until("Advanced").await?;
    drop(canary);
    program.until_one(|notice| percent(notice) == Some(0)).await?;
    let client = Client::new(program.address);
    eventually("ten answers by primary in a row", async || {
        for _ in 0..10 {
            if client.send(&Ask::get("shop", "/")).await.ok()?.by_canary().ok()? {
                return None;
            }
        }
        Some(())
    })
    .await?;
    drop((load, primary));
    Ok(())
}
