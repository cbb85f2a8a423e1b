//! The bed itself: without a filter requests reach primary, and the upstreams do as they are told.

use std::time::Duration;

use anyhow::Result;
use serin_e2e::{
    bed::Setup,
    client::Ask,
    table::{host, nonce},
    upstream::Act,
};
use serin_route::{TRACK_HEADER, Track};

#[tokio::test(flavor = "multi_thread")]
async fn without_a_filter_everything_goes_to_primary() -> Result<()> {
    let bed = Setup::bare(&["shop"]).start().await?;
    for _ in 0..20 {
        let answer = bed.client.send(&Ask::get(&host("shop"), "/")).await?;
        assert_eq!((answer.status, answer.track()), (200, Some(Track::Primary)));
    }
    // The routes are as Istio would make them: the nonce reaches the canary, and goes no further.
    let steered = Ask::get(&host("shop"), "/").header(TRACK_HEADER, nonce("shop"));
    assert_eq!(bed.client.send(&steered).await?.track(), Some(Track::Canary));
    assert_eq!(bed.tracks("shop").canary.heard().len(), 1);
    assert_eq!(bed.tracks("shop").canary.heard_with(TRACK_HEADER), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn upstreams_misbehave_as_ordered() -> Result<()> {
    let bed = Setup::bare(&["shop"]).start().await?;
    let ask = |act: &str| Ask::get(&host("shop"), "/").act(act);
    assert_eq!(bed.client.send(&ask("status 418")).await?.status, 418);
    assert_eq!(bed.client.send(&ask("reset")).await?.status, 503);
    let cut = bed.client.send(&ask("truncate")).await?;
    assert_eq!((cut.status, cut.cut, &cut.body[..]), (200, true, &b"half an answ"[..]));
    bed.client.abandon(&ask("hang"), Duration::from_millis(100)).await?;
    let stay = Duration::from_millis(10);
    assert_eq!(bed.client.upgrade(ask("upgrade"), stay).await?, 101);
    bed.tracks("shop").primary.act(Act::Status(500));
    assert_eq!(bed.client.send(&Ask::get(&host("shop"), "/")).await?.status, 500);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn upstreams_speak_grpc() -> Result<()> {
    let bed = Setup::bare(&["shop"]).start().await?;
    let ask = |act: &str| Ask::get(&host("shop"), "/shop.Cart/Add").act(act);
    let with_trailers = bed.client.call(ask("grpc 14")).await?;
    assert_eq!(with_trailers.trailers["grpc-status"], "14");
    let headers_only = bed.client.call(ask("grpc-headers-only 5")).await?;
    assert_eq!(headers_only.headers["grpc-status"], "5");
    assert!(headers_only.body.is_empty() && headers_only.trailers.is_empty());
    Ok(())
}
