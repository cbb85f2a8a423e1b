//! Two scopes in one Envoy, and the filter on the canary's own side.

use anyhow::{Context, Result};
use serin_e2e::{
    bed::{Bed, Setup},
    client::Ask,
    load::send_all,
    table::{host, rollout, table},
    totals::Totals,
    xds::{Chain, Plugin},
};
use serin_route::{Assignment, Rollout, Side, Table, Track};

/// A bed whose ECDS filter has the first table, and behind it a filter with the second.
async fn bed(sites: &[&str], first: &Table, second: &Table) -> Result<Bed> {
    let mut setup = Setup::of(sites)?;
    let plugin = setup.plugin.as_mut().context("a plugin")?;
    plugin.config = serde_json::to_string(first)?;
    let config = serde_json::to_string(second)?;
    let second = Plugin { name: "second".to_owned(), config, ..plugin.clone() };
    setup.chain = Chain::DiscoveredThen(second.filter());
    setup.start().await
}

fn of_run(name: &str, run: &str, percent: u8) -> Rollout {
    Rollout { run: run.to_owned(), ..rollout(name, percent) }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scope_in_front_claims_what_it_knows() -> Result<()> {
    let scope = |name: &str, rollouts: &[Rollout]| Table {
        scope: name.to_owned(),
        claim: true,
        ..table(rollouts)
    };
    let near = scope("near", &[of_run("shop", "shop-near", 100)]);
    let far = scope("far", &[of_run("shop", "shop-far", 0), of_run("cart", "cart-far", 100)]);
    let bed = bed(&["shop", "cart"], &near, &far).await?;
    let shop = send_all(&bed.client, 60, |_| Ask::get(&host("shop"), "/")).await?;
    let cart = send_all(&bed.client, 40, |_| Ask::get(&host("cart"), "/")).await?;
    assert_eq!((shop.canary, cart.canary), (60, 40));
    let in_far = |totals: &Totals| totals.all("shop-far").requests + totals.mismatched("shop-far");
    bed.settled("each request counted in one scope", |totals| {
        totals.all("shop-near").requests == 60
            && totals.all("cart-far").requests == 40
            && in_far(totals) == 0
    })
    .await?;
    let scopes = bed.receiver.received().into_iter().map(|it| it.report.scope);
    let scopes: std::collections::BTreeSet<String> = scopes.collect();
    assert_eq!(scopes.into_iter().collect::<Vec<_>>(), ["far", "near"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canarys_own_side_counts_everything_and_steers_nothing() -> Result<()> {
    let caller = table(&[of_run("shop", "shop-caller", 40)]);
    let server = Table {
        scope: "server".to_owned(),
        side: Side::Server,
        ..table(&[of_run("shop", "shop-server", 100)])
    };
    let bed = bed(&["shop"], &caller, &server).await?;
    let split = send_all(&bed.client, 200, |index| {
        let ask = Ask::get(&host("shop"), "/");
        ask.act(if index.is_multiple_of(10) { "status 500" } else { "answer" })
    })
    .await?;
    assert!(split.primary > 0 && split.canary > 0, "the caller's side steers: {split:?}");
    let totals = bed
        .settled("both sides to have counted all", |totals| {
            totals.all("shop-caller").requests == 200 && totals.all("shop-server").requests == 200
        })
        .await?;
    let server = totals.assigned("shop-server", Assignment::Direct);
    assert_eq!((server.requests, server.failures), (200, 20));
    assert_eq!(totals.track("shop-server", Track::Primary).requests, 0);
    assert_eq!(totals.track("shop-caller", Track::Canary).requests, split.canary);
    Ok(())
}
