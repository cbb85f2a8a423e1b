//! What became of requests, in every way that Envoy can end one, and what reports say of it.
//!
//! Each case is a rollout of its own, at 100 percent, so that its counts stand alone.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use serin_e2e::{
    bed::{Bed, Setup},
    client::Ask,
    table::{host, rollout},
    totals::{Sum, Totals},
    xds::{Chain, Site, faults},
};
use serin_route::{Rollout, Track, Weight};
use tokio::io::AsyncWriteExt;

fn sites() -> Vec<Site> {
    let retries = |on: &str| Some((on.to_owned(), 2));
    let mut sites: Vec<Site> = [
        "fine",
        "garbled",
        "notfound",
        "failing",
        "refused",
        "reset",
        "unhealthy",
        "gone",
        "left",
        "truncated",
        "upgraded",
    ]
    .iter()
    .map(|name| Site::of(name))
    .collect();
    for name in ["late", "stalled"] {
        sites.push(Site { timeout_ms: Some(300), ..Site::of(name) });
    }
    for name in ["exhausted", "mended"] {
        sites.push(Site { retries: retries("reset"), ..Site::of(name) });
    }
    for name in ["unavailable", "recovered"] {
        sites.push(Site { retries: retries("5xx"), ..Site::of(name) });
    }
    sites
}

fn at_full(site: &Site) -> Rollout {
    Rollout { weight: Weight::FULL, retries: true, ..rollout(&site.name, 100) }
}

async fn bed() -> Result<Bed> {
    let sites = sites();
    let rollouts: Vec<Rollout> = sites.iter().map(at_full).collect();
    Setup::of(&[])?.with_sites(sites).start_with(&rollouts).await
}

/// An address where nobody listens.
async fn nowhere() -> Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    Ok(listener.local_addr()?)
}

/// The address of one that speaks no HTTP.
async fn garbling() -> Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"220 mail.test ESMTP\r\n").await;
        }
    });
    Ok(address)
}

fn failed(requests: u64, resets: u64) -> Sum {
    Sum { requests, failures: requests, resets, timed: requests, ..Sum::default() }
}

fn fine(requests: u64) -> Sum {
    Sum { requests, timed: requests, ..Sum::default() }
}

/// Waits until the counts of each rollout are these; an error names those that are not.
async fn all_as_expected(bed: &Bed, expected: &[(&str, Sum)]) -> Result<Totals> {
    let wrong = |totals: &Totals| -> Vec<String> {
        let all = expected.iter().map(|(name, sum)| (name, sum, totals.all(&format!("{name}-1"))));
        let wrong = all.filter(|(_, expected, seen)| *expected != seen);
        wrong.map(|(name, expected, seen)| format!("{name}: {seen:?}, not {expected:?}")).collect()
    };
    let settled = bed.settled("every case as expected", |totals| wrong(totals).is_empty()).await;
    settled.map_err(|_| anyhow::anyhow!("{}", wrong(&bed.receiver.totals()).join("\n")))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_ending_is_counted_as_what_it_is() -> Result<()> {
    let bed = bed().await?;
    let dead = nowhere().await?;
    bed.files.endpoints("refused-canary", &[dead])?;
    bed.files.endpoints("unhealthy-canary", &[])?;
    bed.files.endpoints("garbled-canary", &[garbling().await?])?;
    let status = async |name: &str, act: &str, times: u32| -> Result<u16> {
        let mut last = 0;
        for _ in 0..times {
            let answer = bed.client.send(&Ask::get(&host(name), "/").act(act)).await?;
            last = answer.status;
        }
        Ok(last)
    };
    assert_eq!(status("fine", "answer", 3).await?, 200);
    assert_eq!(status("notfound", "status 404", 3).await?, 404);
    assert_eq!(status("failing", "status 500", 3).await?, 500);
    assert_eq!(status("refused", "answer", 3).await?, 503);
    assert_eq!(status("garbled", "answer", 3).await?, 502);
    assert_eq!(status("reset", "reset", 3).await?, 503);
    assert_eq!(status("unhealthy", "answer", 3).await?, 503);
    assert_eq!(status("late", "hang", 2).await?, 504);
    assert_eq!(status("stalled", "stall", 2).await?, 200);
    assert_eq!(status("truncated", "truncate", 2).await?, 200);
    assert_eq!(status("exhausted", "reset", 2).await?, 503);
    assert_eq!(status("mended", "reset-until 3", 2).await?, 200);
    assert_eq!(status("unavailable", "status 503", 2).await?, 503);
    assert_eq!(status("recovered", "unavailable-until 2", 2).await?, 200);
    let ask = |name: &str, act: &str| Ask::get(&host(name), "/").act(act);
    for _ in 0..2 {
        bed.client.abandon(&ask("gone", "hang"), Duration::from_millis(100)).await?;
    }
    bed.client.abandon(&ask("left", "slow 400"), Duration::from_millis(100)).await?;
    let stay = Duration::from_millis(600);
    assert_eq!(bed.client.upgrade(ask("upgraded", "upgrade"), stay).await?, 101);

    let retried = |sum: Sum, retries: u64| Sum { retries, ..sum };
    let expected = [
        ("fine", fine(3)),
        ("notfound", fine(3)),
        ("failing", failed(3, 0)),
        ("refused", failed(3, 3)),
        ("garbled", failed(3, 3)),
        ("reset", failed(3, 3)),
        ("unhealthy", failed(3, 3)),
        ("late", failed(2, 2)),
        ("stalled", failed(2, 2)),
        ("truncated", failed(2, 2)),
        ("exhausted", retried(failed(2, 2), 4)),
        ("mended", retried(fine(2), 4)),
        ("unavailable", retried(failed(2, 0), 4)),
        ("recovered", retried(fine(2), 2)),
        ("gone", Sum { abandoned: 2, ..Sum::default() }),
        ("left", Sum { abandoned: 1, ..Sum::default() }),
        ("upgraded", Sum { requests: 1, upgraded: 1, ..Sum::default() }),
    ];
    let totals = all_as_expected(&bed, &expected).await?;
    let run = |name: &str| format!("{name}-1");
    for (name, _) in &expected {
        assert_eq!(totals.track(&run(name), Track::Primary), Sum::default(), "{name}");
        assert_eq!(totals.mismatched(&run(name)), 0, "{name}");
    }
    let upstream = bed.tracks("reset").canary.address().to_string();
    assert_eq!(totals.upstreams("reset-1").get(&upstream), Some(&3));
    assert_eq!(totals.upstreams("refused-1").get(&dead.to_string()), Some(&3));
    assert!(totals.upstreams("unhealthy-1").is_empty() && totals.upstreams("fine-1").is_empty());
    Ok(())
}

/// What a client sends, waiting for the rest in vain, is its own affair; silence of the upstream's is not.
#[tokio::test(flavor = "multi_thread")]
async fn silence_is_whose_turn_it_was() -> Result<()> {
    let mut sites: Vec<Site> = ["silent", "silenced", "unfinished"]
        .iter()
        .map(|name| Site { idle_ms: Some(300), ..Site::of(name) })
        .collect();
    for name in ["longest", "too-long"] {
        sites.push(Site { longest_ms: Some(300), ..Site::of(name) });
    }
    let rollouts: Vec<Rollout> = sites.iter().map(at_full).collect();
    let bed = Setup::of(&[])?.with_sites(sites).start_with(&rollouts).await?;
    let status = async |name: &str, act: &str| -> Result<u16> {
        Ok(bed.client.send(&Ask::get(&host(name), "/").act(act)).await?.status)
    };
    assert_eq!(status("silent", "hang").await?, 504);
    assert_eq!(status("silenced", "stall").await?, 200);
    assert_eq!(status("longest", "stall").await?, 200);
    assert_eq!(status("too-long", "hang").await?, 504);
    let half = format!(
        "POST / HTTP/1.1\r\nhost: {}\r\ncontent-length: 10\r\nx-act: hang\r\n\r\nhalf",
        host("unfinished")
    );
    let answer = bed.client.raw(half.as_bytes()).await?;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    let expected = [
        ("silent", failed(1, 1)),
        ("silenced", failed(1, 1)),
        // At the end of a route's `max_stream_duration` Envoy raises no flag: an answer that had begun has had its time,
        // one that had not is Envoy's 504.
        ("longest", fine(1)),
        ("too-long", failed(1, 0)),
        ("unfinished", fine(1)),
    ];
    all_as_expected(&bed, &expected).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn injected_faults_are_no_versions_fault() -> Result<()> {
    let names = ["aborted", "delayed", "both"];
    let mut setup = Setup::of(&names)?;
    setup.chain = Chain::DiscoveredThen(faults());
    let rollouts = names.map(|name| rollout(name, 100));
    let bed = setup.start_with(&rollouts).await?;
    let delayed = |name| Ask::get(&host(name), "/").header("x-envoy-fault-delay-request", "120");
    for _ in 0..3 {
        let aborted = Ask::get(&host("aborted"), "/").header("x-envoy-fault-abort-request", "503");
        assert_eq!(bed.client.send(&aborted).await?.status, 503);
        assert_eq!(bed.client.send(&delayed("delayed")).await?.status, 200);
        assert_eq!(bed.client.send(&delayed("both").act("status 500")).await?.status, 500);
    }
    // One that is counted, and after the aborted ones.
    bed.client.send(&Ask::get(&host("aborted"), "/")).await?;
    let expected = [
        ("aborted", fine(1)),
        ("delayed", Sum { timed: 0, ..fine(3) }),
        ("both", Sum { timed: 0, ..failed(3, 0) }),
    ];
    all_as_expected(&bed, &expected).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_seen_past_each_edge_while_it_is_in_flight() -> Result<()> {
    let bed = Setup::of(&["shop"])?.start_with(&[rollout("shop", 100)]).await?;
    let client = bed.client.clone();
    let slow = Ask::get(&host("shop"), "/").act("slow 1600");
    let slow = tokio::spawn(async move { client.send(&slow).await });
    let seen = bed
        .settled("one request in flight past 500 ms", |totals| {
            totals.at_edge("shop-1", 500, |_| true) == (1, 1)
        })
        .await?;
    assert_eq!(seen.all("shop-1").requests, 0, "not over, and seen all the same");
    assert_eq!(slow.await??.status, 200);
    let done = bed.settled("it is over", |totals| totals.all("shop-1").requests == 1).await?;
    for edge in [50, 500, 1000] {
        assert_eq!(done.at_edge("shop-1", edge, |_| true), (1, 1), "{edge} ms: counted once");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_fails_by_its_status_wherever_that_stands() -> Result<()> {
    let names = ["ok", "unavailable", "only", "notfound", "dead", "http"];
    let rollouts: Vec<Rollout> =
        names.iter().map(|name| Rollout { grpc: true, ..rollout(name, 100) }).collect();
    let bed = Setup::of(&names)?.start_with(&rollouts).await?;
    bed.files.endpoints("dead-canary", &[nowhere().await?])?;
    let call = async |name: &str, act: &str| {
        bed.client.call(Ask::get(&host(name), "/shop.Cart/Add").act(act)).await
    };
    for _ in 0..3 {
        assert_eq!(call("ok", "grpc 0").await?.trailers["grpc-status"], "0");
        assert_eq!(call("unavailable", "grpc 14").await?.trailers["grpc-status"], "14");
        assert_eq!(call("only", "grpc-headers-only 13").await?.headers["grpc-status"], "13");
        assert_eq!(call("notfound", "grpc 5").await?.trailers["grpc-status"], "5");
        // Envoy's own answer to a call it cannot make.
        assert_eq!(call("dead", "grpc 0").await?.headers["grpc-status"], "14");
        let plain = Ask::get(&host("http"), "/");
        assert_eq!(bed.client.send(&plain).await?.status, 200);
    }
    let totals = bed
        .settled("all calls", |totals| {
            names.iter().all(|name| totals.all(&format!("{name}-1")).requests == 3)
        })
        .await?;
    for (name, failures, resets) in [
        ("ok", 0, 0),
        ("unavailable", 3, 0),
        ("only", 3, 0),
        ("notfound", 0, 0),
        ("dead", 3, 3),
        ("http", 0, 0),
    ] {
        let sum = totals.all(&format!("{name}-1"));
        assert_eq!((sum.failures, sum.resets), (failures, resets), "{name}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_envoy_rejects_before_the_filter_hurts_nobody() -> Result<()> {
    let bed = Setup::of(&["shop"])?.start_with(&[rollout("shop", 100)]).await?;
    for request in
        ["GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nhost: shop.prod.test\r\nx: \0\r\n\r\n"]
    {
        let answer = bed.client.raw(request.as_bytes()).await?;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    let answer = bed.client.send(&Ask::get(&host("shop"), "/")).await?;
    assert_eq!(answer.track(), Some(Track::Canary));
    bed.settled("the one good request", |totals| totals.all("shop-1").requests == 1)
        .await
        .context("rejected ones are none of ours")?;
    Ok(())
}
