//! `serin local` where the machine fails it: no room, no files, a sudden end; and where callers name their own keys.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serin_e2e::{
    client::{Ask, Client},
    eventually,
    upstream::{Act, Upstream},
};

use super::{
    Scene, canary, load,
    program::{Desk, gone, left_behind, limit_files, signal},
    service::Service,
    start,
};

async fn ten_by_primary(client: &Client) -> Result<()> {
    eventually("ten answers by primary in a row", async || {
        for _ in 0..10 {
            if client.send(&Ask::get("shop", "/")).await.ok()?.by_canary().ok()? {
                return None;
            }
        }
        Some(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_stay_by_their_own_request_ids() -> Result<()> {
    let keyed = canary("    userKey: [{requestId: {}}]\n");
    let keyed = keyed.replace("interval: 2s", "interval: 60s").replace("Weight: 20", "Weight: 40");
    let scene = Scene::set(&keyed, Act::Answer).await?;
    let Scene { desk: _desk, primary: _primary, canary: _canary, mut program, load } = scene;
    program.until("Advanced").await?;
    drop(load);
    let client = Client::new(program.address);
    let ask = async |id: usize| -> Result<bool> {
        let ask = Ask::get("shop", "/").header("x-request-id", format!("caller-{id}"));
        client.send(&ask).await?.by_canary()
    };
    let all = async || -> Result<Vec<bool>> {
        let mut sides = Vec::new();
        for id in 0..40 {
            sides.push(ask(id).await?);
        }
        Ok(sides)
    };
    // Both workers have the table when two rounds agree.
    let sides = eventually("callers on both sides, twice the same", async || {
        let sides = all().await.ok()?;
        let both = sides.contains(&true) && sides.contains(&false);
        (both && all().await.ok()? == sides).then_some(sides)
    })
    .await?;
    for _ in 0..3 {
        ensure!(all().await? == sides, "a caller changed sides");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_for_its_files_a_bad_version_loses_its_traffic_all_the_same() -> Result<()> {
    let slow = canary("").replace("interval: 2s", "interval: 60s");
    let scene = Scene::set(&slow, Act::Answer).await?;
    let Scene { desk: _desk, primary: _primary, canary, mut program, load } = scene;
    program.until("Advanced").await?;
    let client = Client::new(program.address);
    eventually("the canary's share", async || {
        client.send(&Ask::get("shop", "/")).await.ok()?.by_canary().ok()?.then_some(())
    })
    .await?;
    limit_files(program.id()?, "0").await?;
    canary.act(Act::Status(500));
    program
        .until_one(|notice| {
            let message = notice["message"].as_str().unwrap_or_default();
            message.contains("all traffic goes to primary, by files that were prepared")
        })
        .await?;
    ten_by_primary(&client).await?;
    limit_files(program.id()?, "unlimited").await?;
    program.until("RolledBack").await?;
    drop(load);
    let (status, last) = program.ending().await?;
    ensure!(status.code() == Some(1) && last["outcome"] == "rolled-back", "{status}: {last:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_directory_that_is_removed_ends_the_program_and_its_envoy() -> Result<()> {
    let scene = Scene::set(&canary(""), Act::Answer).await?;
    let Scene { desk, primary: _primary, canary: _canary, mut program, load } = scene;
    program.until("Advanced").await?;
    let envoy = program.envoy()?;
    for directory in left_behind(&desk.path(""))? {
        std::fs::remove_dir_all(directory)?;
    }
    let (status, last) = program.ending().await?;
    drop(load);
    let said = program.complaints().await?;
    ensure!(status.code() == Some(3) && last["outcome"] == "failed", "{status}: {last:#}");
    ensure!(said.contains("is gone, removed by somebody"), "{said}");
    gone(envoy).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_run_removes_what_a_killed_one_left() -> Result<()> {
    let desk = Desk::with(&canary(""))?;
    let (primary, canary) =
        (Upstream::start("shop-primary").await?, Upstream::start("shop-canary").await?);
    let mut killed = start(&desk, &primary, &canary, &[]).await?;
    signal(killed.id()?, "KILL").await?;
    killed.ending().await?;
    let left = left_behind(&desk.path(""))?.pop().context("nothing was left")?;
    let _next = start(&desk, &primary, &canary, &[]).await?;
    let now = left_behind(&desk.path(""))?;
    ensure!(now.len() == 1 && !now.contains(&left), "{now:?}");
    Ok(())
}

/// An advance that waits for its file keeps the answers that allow it: nobody is asked again and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_gate_is_not_asked_again_while_the_state_waits_for_its_file() -> Result<()> {
    let service = Service::start().await?;
    let hooks = format!(
        "    webhooks:\n    - {{name: more, type: confirm-traffic-increase, url: 'http://{}/more'}}\n",
        service.address
    );
    let desk = Desk::with(&canary(&hooks).replace("interval: 2s", "interval: 6s"))?;
    let (primary, canary) =
        (Upstream::start("shop-primary").await?, Upstream::start("shop-canary").await?);
    std::fs::create_dir(desk.path("kept"))?;
    let state = desk.path("kept/state.json");
    let words = ["--state", state.to_str().context("a path of letters")?];
    let mut program = start(&desk, &primary, &canary, &words).await?;
    let load = load(&program);
    program.until("Advanced").await?;
    std::fs::remove_dir_all(desk.path("kept"))?;
    let asked = service.calls("/more").len();
    tokio::time::sleep(Duration::from_secs(11)).await;
    let more = service.calls("/more").len() - asked;
    // Once in each round, of six seconds.
    ensure!((1..=2).contains(&more), "asked {more} times in two rounds");
    std::fs::create_dir(desk.path("kept"))?;
    program.until("Advanced").await?;
    drop(load);
    Ok(())
}
