//! The vectors, and the exact wire form of table and report. `UPDATE_GOLDEN=1` writes the latter anew: mind that
//! filters and controllers of different age read each other's.
#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "a test may end so")]

mod common;
mod vectors;

use std::path::Path;

use serde::Serialize;
use serin_route::{
    Affinity, Assignment, Cell, Condition, Direct, GenerationReport, KeyHash, KeySource, Keyed,
    Labels, Latency, Otherwise, Report, Reports, Rollout, RolloutReport, RoutePattern, Router,
    Rule, SameSite, Secure, Side, Subject, Table, Test, Then, Track, Upstream, VERSION, Weight,
};

#[test]
fn decisions_are_as_written_down() {
    assert!(vectors::decisions() > 100);
}

#[test]
fn hashes_and_buckets_are_as_written_down() {
    vectors::siphash();
}

#[test]
fn the_table_has_its_form() {
    let table = table();
    let json = golden("table-v1.json", &table);
    let router = Router::parse(json.as_bytes(), &Labels::new()).unwrap();
    assert_eq!(*router.table(), table);
}

#[test]
fn the_report_has_its_form() {
    let report = report();
    let json = golden("report-v1.json", &report);
    assert_eq!(Report::parse(json.as_bytes()), Ok(report));
}

/// What the file holds, after a look that the value still is written so.
fn golden(name: &str, value: &impl Serialize) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    let json = serde_json::to_string_pretty(value).unwrap() + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &json).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert_eq!(json, written, "{name} is stale; UPDATE_GOLDEN=1 cargo test -p serin-route");
    written
}

/// Every field and every word of the language at least once.
fn table() -> Table {
    Table {
        version: VERSION,
        scope: "prod".into(),
        side: Side::Server,
        claim: true,
        reports: Some(Reports {
            cluster: "outbound|9000||serin.serin-system.svc.cluster.local".into(),
            authority: "serin.serin-system".into(),
            path: "/v1/report".into(),
            token: "secret".into(),
            period_ms: 1000,
        }),
        rollouts: vec![whole_rollout(), short_rollout()],
    }
}

fn short_rollout() -> Rollout {
    Rollout {
        name: "search.v2".into(),
        run: "r2".into(),
        salt: "ffeeddccbbaa99887766554433221100".into(),
        nonce: "n2".into(),
        ..common::rollout(Weight::ZERO)
    }
}

fn whole_rollout() -> Rollout {
    Rollout {
        name: "shop".into(),
        run: "r1".into(),
        generation: 7,
        salt: "000102030405060708090a0b0c0d0e0f".into(),
        nonce: "n1".into(),
        weight: Weight::from_percent(10),
        rules: rules(),
        otherwise: Otherwise::Primary,
        keys: vec![
            KeySource::Header("x-user".into()),
            KeySource::Cookie("user".into()),
            KeySource::RequestId,
        ],
        affinity: Some(Affinity {
            cookie: "__Secure-shop".into(),
            max_age_s: 3600,
            domain: Some("example.com".into()),
            path: "/shop".into(),
            http_only: true,
            secure: Secure::Always,
            same_site: SameSite::None,
            partitioned: true,
        }),
        edges_ms: vec![1, 2, 3, 4, 6, 8, 500],
        routes: vec![RoutePattern {
            name: "pay".into(),
            when: vec![on(Subject::Path, Test::Prefix("/pay".into()))],
        }],
        direct: Some(Direct {
            primary: vec!["outbound|80||shop-primary.prod.svc.cluster.local".into()],
            canary: vec!["outbound|80||shop-canary.prod.svc.cluster.local".into()],
        }),
        grpc: true,
        retries: true,
        ..short_rollout()
    }
}

fn rules() -> Vec<Rule> {
    vec![
        Rule {
            when: vec![
                on(Subject::Header("x-beta".into()), Test::Exact("yes".into())),
                on(Subject::Cookie("beta".into()), Test::Suffix("s".into())),
                on(Subject::Query("beta".into()), Test::Regex("y(es)?".into())),
                on(Subject::Label("app".into()), Test::Absent),
            ],
            then: Then::Canary,
        },
        Rule { when: vec![on(Subject::Method, Test::Present)], then: Then::Weighted },
        Rule {
            when: vec![on(Subject::Authority, Test::Exact("shop.example.com".into()))],
            then: Then::Primary,
        },
    ]
}

fn on(of: Subject, is: Test) -> Condition {
    Condition { of, is }
}

fn report() -> Report {
    Report {
        version: VERSION,
        scope: "prod".into(),
        side: Side::Server,
        proxy: "sidecar~10.0.0.7~web-1.prod~prod.svc.cluster.local".into(),
        namespace: "prod".into(),
        boot: "00112233445566ff".into(),
        sequence: 42,
        problem: Some("rollouts[0].weight: is missing".into()),
        rollouts: vec![RolloutReport {
            name: "shop".into(),
            namespace: "prod".into(),
            run: "r1".into(),
            generation: 7,
            generations: vec![generation()],
        }],
    }
}

fn generation() -> GenerationReport {
    let cell = |track, assignment, route: Option<&str>| Cell {
        route: route.map(str::to_owned),
        requests: 100,
        ..Cell::new(track, assignment)
    };
    GenerationReport {
        generation: 6,
        edges_ms: vec![1, 2, 500],
        mismatched: 1,
        cells: vec![
            Cell {
                failures: 3,
                resets: 2,
                retries: 4,
                abandoned: 5,
                upgraded: 6,
                latency: Latency { done: vec![90, 9, 0, 1], censored: vec![0, 2] },
                upstreams: vec![Upstream { address: "10.0.0.9:8080".into(), failures: 3 }],
                ..cell(Track::Canary, Assignment::Sticky, Some("pay"))
            },
            cell(Track::Primary, Assignment::Weight, None),
            cell(Track::Canary, Assignment::Rule, None),
            cell(Track::Primary, Assignment::Direct, None),
        ],
        keyed: vec![Keyed {
            track: Track::Canary,
            at_risk: 80,
            failed: vec![KeyHash(1), KeyHash(u64::MAX)],
            overflow: false,
        }],
    }
}
