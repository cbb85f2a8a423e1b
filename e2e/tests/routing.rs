//! Who serves a request: weights, rules, two rollouts in one table, routes that are not ours, forged headers.

use anyhow::{Context, Result};
use serin_e2e::{
    bed::{Bed, Setup},
    chance::sigmas,
    client::Ask,
    load::send_all,
    table::{host, nonce, rollout, to_canary, when},
    totals::Totals,
    xds::Site,
};
use serin_route::{
    Assignment, Condition, Direct, Otherwise, Rollout, Subject, TRACK_HEADER, Test, Then, Track,
    Weight,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_canary_gets_its_share_of_10_000_requests() -> Result<()> {
    let mut bed = Setup::of(&["shop"])?.start().await?;
    for (generation, percent) in [(1, 1), (2, 10), (3, 50)] {
        bed.apply(&[Rollout { generation, ..rollout("shop", percent) }]).await?;
        let split = send_all(&bed.client, 10_000, |_| Ask::get(&host("shop"), "/")).await?;
        assert_eq!((split.total(), split.neither, split.errors), (10_000, 0, 0));
        let off = sigmas(split.canary, 10_000, f64::from(percent) / 100.0);
        assert!(off < 4.0, "{percent} %: {split:?} is {off:.1} sigma off");
    }
    let totals = bed
        .settled("30 000 requests, all drawn by weight", |totals| {
            totals.assigned("shop-1", Assignment::Weight).requests == 30_000
        })
        .await?;
    assert_eq!(totals.all("shop-1").failures, 0);
    assert_eq!(totals.mismatched("shop-1"), 0);
    // Every request is drawn anew: both tracks' counts are what the upstreams heard.
    for (track, upstream) in
        [(Track::Primary, &bed.tracks("shop").primary), (Track::Canary, &bed.tracks("shop").canary)]
    {
        assert_eq!(totals.track("shop-1", track).requests, upstream.heard().len() as u64);
        assert_eq!(upstream.heard_with(TRACK_HEADER), 0, "the header is for Envoy alone");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn at_weight_0_everything_goes_to_primary_whatever_the_rules_say() -> Result<()> {
    let everyone = vec![to_canary(Vec::new())];
    let none = Rollout { rules: everyone, ..rollout("shop", 0) };
    let bed = Setup::of(&["shop"])?.start_with(&[none]).await?;
    let forged = |_| Ask::get(&host("shop"), "/").header(TRACK_HEADER, nonce("shop"));
    assert_eq!(send_all(&bed.client, 200, forged).await?.primary, 200);
    assert_eq!(bed.tracks("shop").primary.heard_with(TRACK_HEADER), 0);
    assert_eq!(bed.tracks("shop").canary.heard().len(), 0);
    Ok(())
}

/// A condition, requests that it admits and requests that it does not.
struct Case {
    name: &'static str,
    when: Vec<Condition>,
    admits: Vec<Ask>,
    refuses: Vec<Ask>,
}

fn header(name: &str) -> Subject {
    Subject::Header(name.to_owned())
}

fn ask(name: &str, path: &str) -> Ask {
    Ask::get(&host(name), path)
}

fn by_headers() -> Vec<Case> {
    let of = |name: &'static str, is: Test, admits: &[&[u8]], refuses: &[&[u8]]| {
        let with = |value: &&[u8]| ask(name, "/").header("x-group", value);
        Case {
            name,
            when: vec![when(header("x-group"), is)],
            admits: admits.iter().map(with).collect(),
            refuses: refuses.iter().map(with).chain([ask(name, "/")]).collect(),
        }
    };
    let text = str::to_owned;
    let mut cases = vec![
        of(
            "exact",
            Test::Exact(text("beta")),
            &[b"beta"],
            &[b"Beta", b"beta2", b"alpha,beta", b""],
        ),
        of("prefix", Test::Prefix(text("be")), &[b"be", b"beta"], &[b"abe", b"b"]),
        of("suffix", Test::Suffix(text("ta")), &[b"ta", b"beta"], &[b"tab", b"a"]),
        of(
            "regex",
            Test::Regex(text("b[a-z]+|x")),
            &[b"beta", b"x"],
            &[b"beta1", b"abeta", b"xx", b"be\xff"],
        ),
        of("present", Test::Present, &[b"beta", b"caf\xe9", b""], &[]),
    ];
    cases.push(Case {
        name: "absent",
        when: vec![when(header("x-group"), Test::Absent)],
        admits: vec![ask("absent", "/")],
        refuses: vec![
            ask("absent", "/").header("x-group", ""),
            ask("absent", "/").header("x-group", "a"),
        ],
    });
    cases
}

fn by_other_parts() -> Vec<Case> {
    let text = str::to_owned;
    let cookie = |value: &[u8]| ask("cookie", "/").header("cookie", value);
    vec![
        Case {
            name: "cookie",
            when: vec![when(Subject::Cookie(text("group")), Test::Exact(text("beta")))],
            admits: vec![cookie(b"group=beta"), cookie(b"a=\xff; group=beta; b=c")],
            refuses: vec![cookie(b"group=alpha; group=beta"), cookie(b"xgroup=beta"), cookie(b"=")],
        },
        Case {
            name: "query",
            when: vec![when(Subject::Query(text("group")), Test::Exact(text("be ta")))],
            admits: vec![ask("query", "/?group=be%20ta"), ask("query", "/x?a=1&group=be+ta&b")],
            refuses: vec![ask("query", "/?group=beta"), ask("query", "/group=be%20ta")],
        },
        Case {
            name: "method",
            when: vec![when(Subject::Method, Test::Exact(text("POST")))],
            admits: vec![ask("method", "/").method("POST")],
            refuses: vec![ask("method", "/"), ask("method", "/").method("PUT")],
        },
        Case {
            name: "path",
            when: vec![when(Subject::Path, Test::Suffix(text("/cart")))],
            admits: vec![ask("path", "/cart"), ask("path", "/a/cart?b=c")],
            refuses: vec![ask("path", "/cart/"), ask("path", "/?/cart")],
        },
        Case {
            name: "authority",
            when: vec![when(Subject::Authority, Test::Prefix(text("authority.")))],
            admits: vec![ask("authority", "/")],
            refuses: Vec::new(),
        },
        Case {
            name: "label",
            when: vec![when(Subject::Label(text("app")), Test::Exact(text("web")))],
            admits: vec![ask("label", "/")],
            refuses: Vec::new(),
        },
        Case {
            name: "other-label",
            when: vec![when(Subject::Label(text("app")), Test::Exact(text("batch")))],
            admits: Vec::new(),
            refuses: vec![ask("other-label", "/")],
        },
    ]
}

fn combined() -> Vec<Case> {
    let both = |name| ask(name, "/cart").header("x-group", "beta");
    vec![Case {
        name: "and",
        when: vec![
            when(header("x-group"), Test::Exact("beta".to_owned())),
            when(Subject::Path, Test::Prefix("/cart".to_owned())),
        ],
        admits: vec![both("and")],
        refuses: vec![ask("and", "/").header("x-group", "beta"), ask("and", "/cart")],
    }]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_condition_admits_what_it_should() -> Result<()> {
    let cases: Vec<Case> =
        [by_headers(), by_other_parts(), combined()].into_iter().flatten().collect();
    let names: Vec<&str> = cases.iter().map(|case| case.name).collect();
    let rollouts: Vec<Rollout> = cases
        .iter()
        .map(|case| Rollout {
            rules: vec![to_canary(case.when.clone())],
            otherwise: Otherwise::Primary,
            ..rollout(case.name, 50)
        })
        .collect();
    let bed = Setup::of(&names)?.start_with(&rollouts).await?;
    for case in &cases {
        for (asks, expected) in [(&case.admits, Track::Canary), (&case.refuses, Track::Primary)] {
            for ask in asks {
                let answer = bed.client.send(ask).await?;
                assert_eq!(answer.track(), Some(expected), "{}: {ask:?}", case.name);
            }
        }
    }
    let asked: usize = cases.iter().map(|case| case.admits.len() + case.refuses.len()).sum();
    bed.settled("every request counted as ruled", |totals| {
        let of = |name: &&str| totals.assigned(&format!("{name}-1"), Assignment::Rule).requests;
        names.iter().map(of).sum::<u64>() == asked as u64
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_rule_that_matches_decides() -> Result<()> {
    let group = |value: &str| vec![when(header("x-group"), Test::Exact(value.to_owned()))];
    let mut rules = vec![to_canary(group("a")), to_canary(group("b"))];
    for (value, then) in [("c", Then::Primary), ("d", Then::Weighted)] {
        rules.push(serin_route::Rule { when: group(value), then });
    }
    rules.push(to_canary(vec![when(header("x-group"), Test::Present)]));
    let shop = Rollout { rules, otherwise: Otherwise::Primary, ..rollout("shop", 50) };
    let bed = Setup::of(&["shop"])?.start_with(&[shop]).await?;
    for (group, expected) in
        [("a", Track::Canary), ("b", Track::Canary), ("c", Track::Primary), ("e", Track::Canary)]
    {
        for _ in 0..5 {
            let answer = bed.client.send(&ask("shop", "/").header("x-group", group)).await?;
            assert_eq!(answer.track(), Some(expected), "group {group}");
        }
    }
    let drawn = send_all(&bed.client, 400, |_| ask("shop", "/").header("x-group", "d")).await?;
    assert!(sigmas(drawn.canary, 400, 0.5) < 4.0, "{drawn:?}");
    bed.settled("only the weighted rule's requests are randomised", |totals| {
        totals.assigned("shop-1", Assignment::Weight).requests == 400
            && totals.assigned("shop-1", Assignment::Rule).requests == 20
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_rollouts_in_one_table_do_not_touch_each_other() -> Result<()> {
    let mut bed = Setup::of(&["shop", "cart"])?
        .start_with(&[rollout("shop", 100), rollout("cart", 0)])
        .await?;
    let both = async |bed: &Bed| -> Result<(u64, u64)> {
        let shop = send_all(&bed.client, 100, |_| ask("shop", "/")).await?;
        let cart = send_all(&bed.client, 100, |_| ask("cart", "/")).await?;
        Ok((shop.canary, cart.canary))
    };
    assert_eq!(both(&bed).await?, (100, 0));
    // One's nonce means nothing to the other.
    let forged = ask("cart", "/").header(TRACK_HEADER, nonce("shop"));
    assert_eq!(bed.client.send(&forged).await?.track(), Some(Track::Primary));
    let next = |name, percent| Rollout { generation: 2, ..rollout(name, percent) };
    bed.apply(&[next("cart", 100), next("shop", 0)]).await?;
    assert_eq!(both(&bed).await?, (0, 100));
    let totals = bed
        .settled("all requests of both", |totals| {
            totals.all("shop-1").requests == 200 && totals.all("cart-1").requests == 201
        })
        .await?;
    for name in ["shop-1", "cart-1"] {
        assert_eq!(totals.track(name, Track::Canary).requests, 100, "{name}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_of_other_kinds_are_never_touched() -> Result<()> {
    let bed = Setup::of(&["shop"])?.start_with(&[rollout("shop", 100)]).await?;
    let to = async |part: &'static str| {
        send_all(&bed.client, 300, move |_| ask(&format!("shop{part}"), "/")).await
    };
    let unscoped = to("-unscoped").await?;
    assert!(sigmas(unscoped.canary, 300, 0.5) < 4.0, "Envoy's own weights: {unscoped:?}");
    assert_eq!(to("-failover").await?.canary, 300);
    assert_eq!(to("-primary").await?.primary, 300);
    assert_eq!(to("-canary").await?.canary, 300);
    let others = send_all(&bed.client, 10, |_| Ask::get("elsewhere.test", "/")).await?;
    assert_eq!((others.neither, others.errors), (10, 0));
    // One request of ours, so that a report that knows all of the above must have come.
    bed.client.send(&ask("shop", "/")).await?;
    bed.settled("nothing but that one counted", |totals| totals.all("shop-1").requests == 1)
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_to_a_tracks_own_service_are_counted_as_direct() -> Result<()> {
    let direct =
        Direct { primary: vec!["shop-primary".to_owned()], canary: vec!["shop-canary".to_owned()] };
    let shop = Rollout { direct: Some(direct), ..rollout("shop", 50) };
    let bed = Setup::of(&["shop"])?.start_with(&[shop]).await?;
    send_all(&bed.client, 30, |_| ask("shop-primary", "/")).await?;
    send_all(&bed.client, 20, |_| ask("shop-canary", "/").act("status 500")).await?;
    let totals = bed
        .settled("50 direct requests", |totals| {
            totals.assigned("shop-1", Assignment::Direct).requests == 50
        })
        .await?;
    let canary = totals.track("shop-1", Track::Canary);
    assert_eq!((canary.requests, canary.failures), (20, 20));
    assert_eq!(totals.all("shop-1").requests, 50);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_from_outside_decides_nothing() -> Result<()> {
    let mut bed = Setup::of(&["shop"])?.start_with(&[rollout("shop", 50)]).await?;
    // As a client forges it, or an earlier hop propagates it: the decision is made anew.
    for value in [nonce("shop"), "canary".to_owned(), String::new()] {
        let forged = move |_| ask("shop", "/").header(TRACK_HEADER, &value);
        let split = send_all(&bed.client, 400, forged).await?;
        assert!(sigmas(split.canary, 400, 0.5) < 4.0, "{split:?}");
    }
    let twice = ask("shop", "/").header(TRACK_HEADER, "x").header(TRACK_HEADER, nonce("shop"));
    bed.client.send(&twice).await?;
    for (generation, percent, expected) in [(2, 0, Track::Primary), (3, 100, Track::Canary)] {
        bed.apply(&[Rollout { generation, ..rollout("shop", percent) }]).await?;
        for value in [nonce("shop"), "canary".to_owned()] {
            let answer = bed.client.send(&ask("shop", "/").header(TRACK_HEADER, &value)).await?;
            assert_eq!(answer.track(), Some(expected), "{value} at {percent} %");
        }
    }
    let totals = bed.settled("all counted", |totals| totals.all("shop-1").requests == 1205).await?;
    assert_eq!(totals.mismatched("shop-1"), 0);
    for upstream in [&bed.tracks("shop").primary, &bed.tracks("shop").canary] {
        assert_eq!(upstream.heard_with(TRACK_HEADER), 0);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_that_the_routes_do_not_grant_is_counted_apart() -> Result<()> {
    let bed = Setup::of(&["shop"])?.start_with(&[rollout("shop", 50)]).await?;
    assert_ne!(send_all(&bed.client, 40, |_| ask("shop", "/")).await?.canary, 0);
    // As an abort does it, seen by this Envoy before the new table is.
    bed.files.routes(&[Site { withdrawn: true, ..Site::of("shop") }])?;
    let forged = || ask("shop", "/").header(TRACK_HEADER, nonce("shop"));
    serin_e2e::eventually("the canary's route to be gone", async || {
        let split = send_all(&bed.client, 32, move |_| forged()).await.ok()?;
        (split.canary == 0).then_some(())
    })
    .await?;
    let all = async || {
        let heard = heard(&bed);
        let counted = |it: &Totals| it.all("shop-1").requests + it.mismatched("shop-1");
        bed.settled("everything counted", |totals| counted(totals) == heard).await
    };
    let before = all().await?;
    let split = send_all(&bed.client, 300, |_| ask("shop", "/")).await?;
    assert_eq!((split.primary, split.errors), (300, 0), "primary serves, whatever was wished");
    let after = all().await?;
    let wishes = after.mismatched("shop-1") - before.mismatched("shop-1");
    assert!(sigmas(wishes, 300, 0.5) < 4.0, "{wishes} of 300 wished for the canary");
    let canary = |totals: &Totals| totals.track("shop-1", Track::Canary).requests;
    assert_eq!(canary(&after), canary(&before), "what it did not serve is not its own");
    Ok(())
}

/// What the upstreams of `shop` have heard.
fn heard(bed: &Bed) -> u64 {
    let tracks = bed.tracks("shop");
    (tracks.primary.heard().len() + tracks.canary.heard().len()) as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_bytes_hurt_nobody() -> Result<()> {
    let shop = Rollout {
        rules: vec![to_canary(vec![when(header("x-group"), Test::Regex("(a|b)*c".to_owned()))])],
        keys: serin_e2e::table::by_user(),
        affinity: Some(serin_e2e::table::affinity()),
        ..rollout("shop", 50)
    };
    let bed = Setup::of(&["shop"])?.start_with(&[shop]).await?;
    let bytes: Vec<u8> = (0x80..=0xff).collect();
    let long = vec![b'a'; 30_000];
    for header in ["x-user", "x-group", "cookie", "content-type", "x-forwarded-proto"] {
        for value in [&bytes, &long] {
            let hostile = ask("shop", "/?%ff=%").header(header, value);
            let answer = bed.client.send(&hostile).await?;
            assert_eq!(answer.status, 200, "{header}");
        }
    }
    bed.settled("the VMs to live and to have counted them", |totals| {
        totals.all("shop-1").requests == 10
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn istio_may_write_around_our_part_of_a_routes_name() -> Result<()> {
    let before = "root.serin/x-".to_owned();
    let site = Site { before, behind: ".named-match".to_owned(), ..Site::of("shop.web") };
    let shop = Rollout {
        weight: Weight::from_basis_points(2500).context("a weight")?,
        ..rollout("shop.web", 0)
    };
    let bed = Setup::of(&[])?.with_sites(vec![site]).start_with(&[shop]).await?;
    let split = send_all(&bed.client, 1000, |_| ask("shop.web", "/")).await?;
    assert!(sigmas(split.canary, 1000, 0.25) < 4.0, "{split:?}");
    bed.settled("all counted", |totals| totals.all("shop.web-1").requests == 1000).await?;
    Ok(())
}
