//! Users stay on their side while the weight grows: who has met the new version never meets the old one again.

use anyhow::{Result, ensure};
use serin_e2e_mesh::{
    load::Order,
    release::{Release, Traffic, released, released_as_flaggers},
    say,
    space::Space,
};

/// Users of each test. Each asks every two seconds, which is longer than any answer takes.
const USERS: u64 = 100;
const RPS: u32 = 50;

const BY_KEY: &str = "\
apiVersion: serin.dev/v1beta1
kind: Canary
metadata: {name: shop}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
  service: {port: 80, targetPort: 8080}
  analysis:
    interval: 5s
    threshold: 3
    stepWeights: [10, 30, 60]
    userKey: [{header: x-user}]
";

/// Flagger's, as its documentation has it.
const BY_COOKIE: &str = "\
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: shop}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
  service: {port: 80, targetPort: 8080}
  analysis:
    interval: 10s
    threshold: 3
    maxWeight: 60
    stepWeight: 30
    sessionAffinity:
      cookieName: flagger-cookie
      maxAge: 21600
";

#[tokio::test(flavor = "multi_thread")]
async fn users_with_a_key_stay_on_their_side() -> Result<()> {
    released("user-key", async |space| {
        stay(space, BY_KEY, |order| order.users(USERS, "x-user")).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn users_with_flaggers_cookie_stay_on_their_side() -> Result<()> {
    released_as_flaggers("cookie", async |space| {
        stay(space, BY_COOKIE, |order| order.browsers(USERS)).await
    })
    .await
}

async fn stay(space: &Space, canary: &str, users: impl Fn(Order) -> Order) -> Result<()> {
    let release = Release::set(space, canary).await?;
    let traffic = Traffic::inside(&release, [users(release.inside(RPS))]);
    let changed = release.version("v2", &[]).await?;
    let promoting = release.story.phase(changed, "Promoting").await?.at;
    release.story.ends(changed, "Succeeded").await?;
    release.scaled("shop", 0).await?;
    let counted = traffic.stop().await?;
    say(&format!("{}:\n{}", space.name, release.story.told(changed)));
    counted.only_the_app_failed()?;
    let (all, met) = (counted.users().len(), counted.met("v2", promoting));
    let back = counted.went_back("v2", "v1", promoting);
    say(&format!("{}: {met} of {all} users met the canary before its promotion", space.name));
    ensure!(back.is_empty(), "{} of {met} users went back: {back:?}", back.len());
    // 60 of 100 are expected; these are five standard deviations.
    ensure!((35..85).contains(&met), "{met} of {all} users met the canary at 60 %");
    Ok(())
}
