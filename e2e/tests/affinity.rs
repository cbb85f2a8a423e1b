//! Users stay on their side: by header, by cookie, by request id, through a ramp from 1 to 100 percent.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::{Context, Result, ensure};
use serin_e2e::{
    bed::{Bed, Setup},
    chance::sigmas,
    client::{Answer, Ask},
    load::answers,
    table::{affinity, by_user, host, rollout},
};
use serin_route::{Assignment, KeySource, Rollout, SameSite, Secure};

const RAMP: [u8; 7] = [1, 5, 10, 25, 50, 75, 100];
const USERS: u64 = 300;

/// Which users the canary serves; each asks several times, and all answers must agree.
async fn served_by_canary(
    bed: &Bed,
    ask: impl Fn(u64) -> Ask + Send + Sync + 'static,
) -> Result<BTreeSet<u64>> {
    let all = answers(&bed.client, 3 * USERS, move |index| ask(index % USERS)).await?;
    let mut sides: BTreeMap<u64, BTreeSet<bool>> = BTreeMap::new();
    for (index, answer) in (0..).zip(&all) {
        ensure!(answer.status == 200, "{answer:?}");
        sides.entry(index % USERS).or_default().insert(answer.by_canary()?);
    }
    let torn = sides.iter().find(|(_, sides)| sides.len() != 1);
    ensure!(torn.is_none(), "user {torn:?} was served by both tracks");
    let canaries = sides.iter().filter(|(_, sides)| sides.contains(&true));
    Ok(canaries.map(|(user, _)| *user).collect())
}

/// Raises the weight step by step; whoever has been on the canary stays there.
async fn nobody_goes_back(
    bed: &mut Bed,
    base: &Rollout,
    ask: impl Fn(u64) -> Ask + Clone + Send + Sync + 'static,
) -> Result<()> {
    let mut before = BTreeSet::new();
    for (generation, percent) in (base.generation..).zip(RAMP) {
        let weight = serin_route::Weight::from_percent(percent);
        bed.apply(&[Rollout { generation, weight, ..base.clone() }]).await?;
        let now = served_by_canary(bed, ask.clone()).await?;
        let back: Vec<_> = before.difference(&now).collect();
        ensure!(back.is_empty(), "at {percent} % users {back:?} went back to primary");
        if percent < 100 {
            let off = sigmas(now.len() as u64, USERS, f64::from(percent) / 100.0);
            ensure!(off < 4.0, "{percent} %: {} of {USERS} users, {off:.1} sigma off", now.len());
        }
        before = now;
    }
    ensure!(before.len() as u64 == USERS, "at 100 % only {} users", before.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn users_known_by_a_header_stay() -> Result<()> {
    let base = Rollout { keys: by_user(), ..rollout("shop", 1) };
    let mut bed = Setup::of(&["shop"])?.start().await?;
    let ask = |user: u64| Ask::get(&host("shop"), "/").header("x-user", format!("user-{user}"));
    nobody_goes_back(&mut bed, &base, ask).await?;
    let requests = 3 * USERS * RAMP.len() as u64;
    bed.settled("all counted as sticky", |totals| {
        totals.assigned("shop-1", Assignment::Sticky).requests == requests
            && totals.all("shop-1").requests == requests
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn users_known_by_their_own_cookie_stay() -> Result<()> {
    let keys =
        vec![KeySource::Header("x-user".to_owned()), KeySource::Cookie("session".to_owned())];
    let base = Rollout { keys, ..rollout("shop", 1) };
    let mut bed = Setup::of(&["shop"])?.start().await?;
    let ask = |user: u64| {
        // The key before has nothing to say when it is empty.
        let ask = Ask::get(&host("shop"), "/").header("x-user", "");
        ask.header("cookie", format!("theme=dark; session=\"s{user}\"; x"))
    };
    nobody_goes_back(&mut bed, &base, ask).await
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_one_trace_stay_together() -> Result<()> {
    let base = Rollout { keys: vec![KeySource::RequestId], ..rollout("shop", 1) };
    let mut bed = Setup::of(&["shop"])?.start().await?;
    let ask = |trace: u64| {
        let id = format!("{trace:08x}-0000-4000-8000-0123456789ab");
        Ask::get(&host("shop"), "/").header("x-request-id", id)
    };
    nobody_goes_back(&mut bed, &base, ask).await
}

/// The affinity cookie that an answer sets, as `name=value`, and its attributes.
fn set_cookie(answer: &Answer) -> Result<Option<(String, String)>> {
    let all: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
    ensure!(all.len() <= 1, "several cookies: {all:?}");
    let Some(value) = all.first() else { return Ok(None) };
    let value = value.to_str()?;
    let (pair, attributes) = value.split_once("; ").context("a cookie without attributes")?;
    Ok(Some((pair.to_owned(), attributes.to_owned())))
}

#[tokio::test(flavor = "multi_thread")]
async fn users_without_a_key_get_a_cookie_and_stay() -> Result<()> {
    let base = Rollout { affinity: Some(affinity()), ..rollout("shop", 30) };
    let mut bed = Setup::of(&["shop"])?.start_with(std::slice::from_ref(&base)).await?;
    let first = answers(&bed.client, USERS, |_| Ask::get(&host("shop"), "/")).await?;
    let (mut jar, mut sides) = (BTreeMap::new(), BTreeSet::new());
    for (user, answer) in (0..).zip(&first) {
        let (pair, _) = set_cookie(answer)?.context("no cookie for a newcomer")?;
        let id = pair.strip_prefix("serin=").context("another cookie")?;
        assert!(id.len() == 32 && id.bytes().all(|it| it.is_ascii_hexdigit()), "{pair}");
        jar.insert(user, pair);
        if answer.by_canary()? {
            sides.insert(user);
        }
    }
    assert_eq!(jar.values().collect::<BTreeSet<_>>().len() as u64, USERS, "ids repeat");
    let jar = Arc::new(jar);
    let ask = move |user: u64| {
        Ask::get(&host("shop"), "/").header("cookie", format!("a=b; {}", jar[&user]))
    };
    assert_eq!(served_by_canary(&bed, ask.clone()).await?, sides, "the first answer's side");
    let again = bed.client.send(&ask(0)).await?;
    assert_eq!(set_cookie(&again)?, None, "who has a cookie gets none");
    bed.settled("newcomers drawn by weight, the rest sticky", |totals| {
        totals.assigned("shop-1", Assignment::Weight).requests == USERS
            && totals.assigned("shop-1", Assignment::Sticky).requests == 3 * USERS + 1
    })
    .await?;
    nobody_goes_back(&mut bed, &Rollout { generation: 2, ..base }, ask).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_carries_what_a_security_review_wants() -> Result<()> {
    let foreign = serin_route::Affinity {
        cookie: "__Secure-side".to_owned(),
        domain: Some("prod.test".to_owned()),
        path: "/shop".to_owned(),
        http_only: false,
        secure: Secure::Always,
        same_site: SameSite::None,
        partitioned: true,
        ..affinity()
    };
    let bed = Setup::of(&["shop", "cart"])?
        .start_with(&[
            Rollout { affinity: Some(affinity()), ..rollout("shop", 50) },
            Rollout { affinity: Some(foreign), ..rollout("cart", 50) },
        ])
        .await?;
    let attributes = async |name: &str, proto: &str| {
        let ask = Ask::get(&host(name), "/").header("x-forwarded-proto", proto);
        let (_, attributes) = set_cookie(&bed.client.send(&ask).await?)?.context("no cookie")?;
        anyhow::Ok(attributes)
    };
    let plain = "Max-Age=3600; Path=/; HttpOnly; SameSite=Lax";
    assert_eq!(attributes("shop", "http").await?, plain);
    let secure = "Max-Age=3600; Path=/; HttpOnly; Secure; SameSite=Lax";
    assert_eq!(attributes("shop", "https").await?, secure);
    let all = "Max-Age=3600; Path=/shop; Domain=prod.test; Secure; SameSite=None; Partitioned";
    assert_eq!(attributes("cart", "http").await?, all);
    // No header at all: Envoy fills in what its own listener speaks.
    let bare = bed.client.send(&Ask::get(&host("shop"), "/")).await?;
    assert_eq!(set_cookie(&bare)?.context("no cookie")?.1, plain);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_is_set_whoever_answers_and_a_broken_one_is_replaced() -> Result<()> {
    let shop = Rollout { affinity: Some(affinity()), ..rollout("shop", 100) };
    let mut bed = Setup::of(&["shop"])?.start_with(std::slice::from_ref(&shop)).await?;
    for broken in ["serin=canary", "serin=", "serin=ABCDEFABCDEFABCDEFABCDEFABCDEFAB", "xserin=1"] {
        let ask = Ask::get(&host("shop"), "/").header("cookie", broken);
        assert!(set_cookie(&bed.client.send(&ask).await?)?.is_some(), "{broken}");
    }
    // Envoy's own answer carries it as well: the next attempt is to find the same side.
    let failed = bed.client.send(&Ask::get(&host("shop"), "/").act("reset")).await?;
    assert_eq!(failed.status, 503);
    assert!(set_cookie(&failed)?.is_some());
    // At weight 0 there are no sides.
    let none = serin_route::Weight::ZERO;
    bed.apply(&[Rollout { generation: 2, weight: none, ..shop }]).await?;
    assert_eq!(set_cookie(&bed.client.send(&Ask::get(&host("shop"), "/")).await?)?, None);
    Ok(())
}
