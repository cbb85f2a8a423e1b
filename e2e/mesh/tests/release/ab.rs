//! An A/B test as Flagger's documentation has it: who carries the cookie, or comes with Firefox, meets the new
//! version, and nobody else does before it is promoted.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serin_e2e_mesh::{
    load::Order,
    release::{Counted, PROPAGATION, Release, Traffic, released_as_flaggers},
    say,
    space::Space,
};

const CANARY: &str = "\
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: shop}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
  service: {port: 80, targetPort: 8080}
  analysis:
    interval: 10s
    threshold: 5
    iterations: 2
    match:
    - headers:
        user-agent:
          regex: \".*Firefox.*\"
    - headers:
        cookie:
          regex: \"^(.*?;)?(canary=always)(;.*)?$\"
";

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0";
const CHROME: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/139.0.0.0 Safari/537.36";

#[tokio::test(flavor = "multi_thread")]
async fn only_whom_the_conditions_match_meets_the_new_version() -> Result<()> {
    released_as_flaggers("ab", conditions).await
}

async fn conditions(space: &Space) -> Result<()> {
    let release = Release::set(space, CANARY).await?;
    let traffic = Traffic::inside(&release, chosen(&release).into_iter().chain(others(&release)));
    let changed = release.version("v2", &[]).await?;
    let begun = release.story.until("the first round", changed, |it| it.iterations > 0).await?.at;
    let promoting = release.story.phase(begun, "Promoting").await?.at;
    release.story.ends(changed, "Succeeded").await?;
    release.scaled("shop", 0).await?;
    let counted = traffic.stop().await?;
    say(&format!("ab:\n{}", release.story.told(changed)));
    counted.only_the_app_failed()?;
    let count = chosen(&release).len();
    for index in 0..count {
        met_it_from(&counted, index, begun)?;
    }
    for index in count..counted.outcomes.len() {
        did_not_before(&counted, index, promoting)?;
    }
    let rounds = release.story.all().iter().map(|it| it.scene.iterations).max();
    ensure!(rounds == Some(2), "there were {rounds:?} rounds");
    Ok(())
}

/// Who is to meet it.
fn chosen(release: &Release<'_>) -> [Order; 3] {
    let order = || release.inside(8);
    [
        order().header("user-agent", FIREFOX),
        order().header("user-agent", CHROME).header("cookie", "theme=dark;canary=always"),
        order().header("cookie", "canary=always"),
    ]
}

/// Who is not.
fn others(release: &Release<'_>) -> [Order; 3] {
    let order = || release.inside(8);
    [
        order().header("user-agent", CHROME),
        order().header("cookie", "canary=never; theme=canary"),
        order(),
    ]
}

/// From the first round on every request of a load went to the new version.
fn met_it_from(counted: &Counted, load: usize, begun: Instant) -> Result<()> {
    let (_, last) = counted.span_of(load, "v1").context("it was answered before the release")?;
    let late = last.saturating_duration_since(begun);
    ensure!(late < PROPAGATION, "load {load} met the old version {late:?} after the first round");
    Ok(())
}

/// No request of a load did before primary itself became the new version.
fn did_not_before(counted: &Counted, load: usize, promoting: Instant) -> Result<()> {
    let (first, _) = counted.span_of(load, "v2").context("it is promoted")?;
    let early = promoting.saturating_duration_since(first);
    ensure!(early.is_zero(), "load {load} met the new version {early:?} before its promotion");
    Ok(())
}
