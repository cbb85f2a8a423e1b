//! Reports: their sums are what the client sent, whatever happens to the receiver.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serin_e2e::{
    bed::{Bed, Setup},
    client::Ask,
    eventually,
    load::{self, Steady, answers},
    receiver::Manner,
    table::{PERIOD_MS, RECEIVER_CLUSTER, SCOPE, by_user, host, rollout, when},
    totals::Totals,
    upstream::Act,
};
use serin_route::{Rollout, RoutePattern, Subject, Test, Track, VERSION};

fn ask() -> Ask {
    Ask::get(&host("shop"), "/")
}

fn periods(n: u32) -> Duration {
    Duration::from_millis(u64::from(PERIOD_MS)) * n
}

/// A third of all requests on each route.
fn route_of(index: u64) -> &'static str {
    match index % 3 {
        0 => "checkout",
        1 => "browse",
        _ => "other",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_by_track_and_route_are_what_the_client_saw() -> Result<()> {
    let route = |name: &str, path: &str, method: &str| RoutePattern {
        name: name.to_owned(),
        when: vec![
            when(Subject::Path, Test::Prefix(path.to_owned())),
            when(Subject::Method, Test::Exact(method.to_owned())),
        ],
    };
    let routes = vec![route("checkout", "/checkout", "POST"), route("browse", "/", "GET")];
    let bed =
        Setup::of(&["shop"])?.start_with(&[Rollout { routes, ..rollout("shop", 40) }]).await?;
    // Route, whether it is to fail: ten kinds of requests, a hundred of each.
    let kind = |index: u64| (route_of(index), index.is_multiple_of(10));
    let ask = move |index: u64| {
        let (route, fails) = kind(index);
        let ask = match route {
            "checkout" => Ask::get(&host("shop"), "/checkout/pay?now").method("POST"),
            "browse" => Ask::get(&host("shop"), "/checkout"),
            _ => Ask::get(&host("shop"), "/checkout").method("PUT"),
        };
        ask.act(if fails { "status 502" } else { "answer" })
    };
    let all = answers(&bed.client, 1200, ask).await?;
    let seen = |track, route, failed_only: bool| {
        let of = (0_u64..).zip(&all).filter(|(index, answer)| {
            answer.track() == Some(track)
                && kind(*index).0 == route
                && (!failed_only || answer.status >= 500)
        });
        of.count() as u64
    };
    let totals =
        bed.settled("1200 requests", |totals| totals.all("shop-1").requests == 1200).await?;
    for track in [Track::Primary, Track::Canary] {
        for route in ["checkout", "browse", "other"] {
            let name = (route != "other").then_some(route);
            let sum =
                totals.sum("shop-1", |cell| cell.track == track && cell.route.as_deref() == name);
            let expected = (seen(track, route, false), seen(track, route, true));
            assert_eq!((sum.requests, sum.failures), expected, "{track:?} {route}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn envoys_own_statistics_tell_the_same() -> Result<()> {
    let bed = Setup::of(&["shop", "cart"])?
        .start_with(&[rollout("shop", 40), rollout("cart", 0)])
        .await?;
    let split = load::send_all(&bed.client, 300, |index| {
        ask().act(if index.is_multiple_of(4) { "status 500" } else { "answer" })
    })
    .await?;
    bed.settled("300", |totals| totals.all("shop-1").requests == 300).await?;
    let metric = async |name: &str, track: &str| {
        let labels = [("cache", "shop"), ("component", track), ("tag", "prod")];
        bed.envoy.metric(name, &labels).await
    };
    assert_eq!(metric("serin_requests_total", "primary").await?, Some(split.primary));
    assert_eq!(metric("serin_requests_total", "canary").await?, Some(split.canary));
    let failures = [
        metric("serin_failures_total", "primary").await?.unwrap_or(0),
        metric("serin_failures_total", "canary").await?.unwrap_or(0),
    ];
    assert_eq!(failures.iter().sum::<u64>(), 75);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_says_who_sends_it() -> Result<()> {
    let bed = Setup::of(&["shop"])?.start_with(&[rollout("shop", 50)]).await?;
    let received = bed.receiver.received();
    for report in received.iter().map(|it| &it.report) {
        assert_eq!((report.version, report.scope.as_str()), (VERSION, SCOPE));
        assert_eq!((report.proxy.as_str(), report.namespace.as_str()), ("bed-envoy", "callers"));
        assert_eq!(report.boot.len(), 16);
    }
    let boots: BTreeSet<_> = received.iter().map(|it| &it.report.boot).collect();
    assert_eq!(boots.len(), bed.vms());
    for boot in boots {
        let of = received.iter().filter(|it| &it.report.boot == boot);
        let sequences: Vec<u64> = of.map(|it| it.report.sequence).collect();
        assert!(sequences.is_sorted_by(|a, b| a < b), "{boot}: {sequences:?}");
    }
    assert_eq!(bed.receiver.strange(), [""; 0], "all with the token, all reports");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_vm_shows_an_empty_table_once_and_then_is_silent() -> Result<()> {
    let mut bed = Setup::of(&["shop"])?.start_with(&[rollout("shop", 50)]).await?;
    answers(&bed.client, 50, |_| ask()).await?;
    bed.settled("50", |totals| totals.all("shop-1").requests == 50).await?;
    let emptied = Instant::now();
    bed.apply(&[]).await?;
    eventually("every VM to show a table without rollouts", async || {
        let empty = bed.reporting(emptied, |report| report.rollouts.is_empty());
        (empty == bed.vms()).then_some(())
    })
    .await
    .with_context(|| bed.explain())?;
    tokio::time::sleep(periods(2)).await;
    let before = bed.receiver.received().len();
    tokio::time::sleep(periods(8)).await;
    assert_eq!(bed.receiver.received().len(), before, "nothing to report, no report");
    // And it wakes again.
    bed.apply(&[Rollout { generation: 2, ..rollout("shop", 100) }]).await
}

/// A receiver is restarted in less; `SERIN_OUTAGE_S` says otherwise.
fn outage() -> Duration {
    let seconds = std::env::var("SERIN_OUTAGE_S").ok().and_then(|it| it.parse().ok());
    Duration::from_secs(seconds.unwrap_or(30))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_was_gone_learns_everything_once() -> Result<()> {
    let bed = Setup::of(&["shop"])?.start_with(&[rollout("shop", 30)]).await?;
    let load = Steady::start(&bed.client, 8, Duration::from_millis(20), |index| {
        ask().act(if index.is_multiple_of(5) { "status 500" } else { "answer" })
    });
    tokio::time::sleep(periods(3)).await;
    bed.receiver.behave(Manner::Gone);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let before = bed.receiver.received().len();
    tokio::time::sleep(outage()).await;
    assert_eq!(bed.receiver.received().len(), before, "it was gone");
    // Nothing happens any more that would make a report necessary by itself.
    let split = load.stop().await?;
    bed.receiver.behave(Manner::Accept);
    assert_eq!(split.neither, 0, "the receiver's trouble is nobody else's");
    let totals = bed
        .settled("every request once", |totals| totals.all("shop-1").requests == split.total())
        .await?;
    let sum = totals.all("shop-1");
    assert_eq!((sum.failures, sum.timed), (split.errors, split.total()));
    assert_eq!(totals.track("shop-1", Track::Canary).requests, split.canary);
    Ok(())
}

/// Envoy refuses such a call at once, and answers it nevertheless as soon as the filter has returned.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_without_endpoints_does_no_harm() -> Result<()> {
    let bed = Setup::of(&["shop"])?.start_with(&[rollout("shop", 30)]).await?;
    let boots = boots(&bed);
    bed.files.endpoints(RECEIVER_CLUSTER, &[])?;
    tokio::time::sleep(periods(2)).await;
    let before = bed.receiver.received().len();
    let split = load::send_all(&bed.client, 200, |_| ask()).await?;
    tokio::time::sleep(periods(6)).await;
    assert_eq!(bed.receiver.received().len(), before, "nobody can reach it");
    let refused = format!("cluster.{RECEIVER_CLUSTER}.upstream_cx_none_healthy");
    assert!(bed.envoy.stat(&refused).await? > Some(0), "and Envoy says so at once");
    assert!(split.canary > 0, "the filter steers nevertheless");
    bed.files.endpoints(RECEIVER_CLUSTER, &[bed.receiver.address()])?;
    let totals = bed
        .settled("every request once", |totals| totals.all("shop-1").requests == split.total())
        .await?;
    assert_eq!(totals.track("shop-1", Track::Canary).requests, split.canary);
    assert_eq!(self::boots(&bed), boots, "no filter was lost and replaced");
    Ok(())
}

fn boots(bed: &Bed) -> BTreeSet<String> {
    bed.receiver.received().into_iter().map(|it| it.report.boot).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_of_bad_manners_loses_nothing() -> Result<()> {
    let bed = Setup::of(&["shop"])?.start_with(&[rollout("shop", 50)]).await?;
    let slow = Manner::Slow(periods(2));
    let mut sent = 0;
    for manner in [Manner::Refuse(500), Manner::Refuse(401), Manner::Babble, slow, Manner::Hang] {
        bed.receiver.behave(manner);
        let before = bed.receiver.received().len();
        sent += load::send_all(&bed.client, 60, |_| ask()).await?.total();
        eventually("reports that are treated so", async || {
            let reports = bed.receiver.received();
            let counted = Totals::of(reports.iter().map(|it| &it.report));
            let all = counted.all("shop-1").requests == sent;
            (all && reports.len() >= before + bed.vms()).then_some(())
        })
        .await
        .with_context(|| format!("{manner:?}"))?;
        tokio::time::sleep(periods(2)).await;
        // Nothing happens any more that would make a report necessary by itself.
        bed.receiver.behave(Manner::Accept);
        bed.settled("every request once", |totals| totals.all("shop-1").requests == sent)
            .await
            .with_context(|| format!("{manner:?}"))?;
    }
    // Whether it counts what it did not acknowledge makes no difference.
    assert_eq!(bed.receiver.totals_of_all().all("shop-1").requests, sent);
    let received = bed.receiver.received();
    for status in [500, 401, 200] {
        assert!(received.iter().any(|it| it.answered == Some(status)), "none answered {status}");
    }
    assert!(received.iter().any(|it| it.answered.is_none()), "none left hanging");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_sent_as_it_is_told() -> Result<()> {
    let mut bed = Setup::of(&["shop"])?.start_with(&[rollout("shop", 100)]).await?;
    let mut table = serin_e2e::table::table(&[Rollout { generation: 2, ..rollout("shop", 100) }]);
    if let Some(reports) = &mut table.reports {
        reports.token = "of-yesterday".to_owned();
    }
    bed.push(&table)?;
    eventually("a report with the other token", async || {
        let strange = bed.receiver.strange();
        strange.iter().any(|it| it.contains("Bearer of-yesterday")).then_some(())
    })
    .await?;
    answers(&bed.client, 40, |_| ask()).await?;
    bed.apply(&[Rollout { generation: 3, ..rollout("shop", 100) }]).await?;
    bed.settled("what was counted meanwhile", |it| it.all("shop-1").requests == 40).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_user_fails_once() -> Result<()> {
    // One worker: every user's requests meet in one VM.
    let mut setup = Setup::of(&["shop"])?;
    setup.concurrency = 1;
    let mut bed = setup.start_with(&[Rollout { keys: by_user(), ..rollout("shop", 100) }]).await?;
    bed.tracks("shop").canary.act(Act::Status(500));
    let users = |user: u64| ask().header("x-user", format!("user-{}", user % 60));
    for _ in 0..3 {
        answers(&bed.client, 180, users).await?;
        tokio::time::sleep(periods(2)).await;
    }
    // Another generation does not make them new.
    let next = Rollout { keys: by_user(), generation: 2, ..rollout("shop", 100) };
    bed.apply(&[next]).await?;
    answers(&bed.client, 180, users).await?;
    bed.tracks("shop").canary.act(Act::Answer);
    answers(&bed.client, 100, |user| ask().header("x-user", format!("new-{}", user % 20))).await?;
    let totals = bed.settled("820 requests", |totals| totals.all("shop-1").requests == 820).await?;
    let failed = totals.failed_users("shop-1", Track::Canary);
    assert_eq!(failed.len(), 60, "each user once");
    assert_eq!(failed.iter().collect::<BTreeSet<_>>().len(), 60, "no user twice");
    // 60 in the flush of their failure; the 20 new ones in each flush that saw them.
    let at_risk = totals.at_risk("shop-1", Track::Canary);
    assert!((80..=60 + 100).contains(&at_risk), "{at_risk} at risk");
    assert_eq!(totals.all("shop-1").failures, 720);
    Ok(())
}
