//! Tables for the filter, short to write.

use serin_route::{
    Affinity, Condition, Direct, KeySource, Otherwise, Reports, Rollout, Rule, SameSite, Secure,
    Subject, Table, Test, Then, Weight,
};

use crate::receiver::{PATH, TOKEN};

/// The scope of every bed's tables.
pub const SCOPE: &str = "bed";
/// The cluster of the receiver.
pub const RECEIVER_CLUSTER: &str = "serin-receiver";
/// Report period of the tests: a quarter of the product's, so that nobody waits for long.
pub const PERIOD_MS: u32 = 250;

/// A table that reports to the bed's receiver.
pub fn table(rollouts: &[Rollout]) -> Table {
    Table {
        scope: SCOPE.to_owned(),
        reports: Some(Reports {
            cluster: RECEIVER_CLUSTER.to_owned(),
            authority: "receiver.test".to_owned(),
            path: PATH.to_owned(),
            token: TOKEN.to_owned(),
            period_ms: PERIOD_MS,
        }),
        rollouts: rollouts.to_vec(),
        ..Table::default()
    }
}

/// A rollout of the namespace `prod` in its run `NAME-1`, generation 1, that draws every request by weight.
pub fn rollout(name: &str, percent: u8) -> Rollout {
    Rollout {
        name: name.to_owned(),
        namespace: "prod".to_owned(),
        run: format!("{name}-1"),
        generation: 1,
        salt: "000102030405060708090a0b0c0d0e0f".to_owned(),
        nonce: nonce(name),
        weight: Weight::from_percent(percent),
        rules: Vec::new(),
        otherwise: Otherwise::Weighted,
        keys: Vec::new(),
        affinity: None,
        edges_ms: vec![50, 100, 200, 500, 1000],
        routes: Vec::new(),
        direct: None::<Direct>,
        grpc: false,
        retries: false,
    }
}

/// The nonce of a rollout in this bed.
pub fn nonce(name: &str) -> String {
    format!("{name}-5d41402abc4b2a76")
}

/// The host of a rollout in this bed.
pub fn host(name: &str) -> String {
    format!("{name}.prod.test")
}

/// A rule to canary.
pub fn to_canary(when: Vec<Condition>) -> Rule {
    Rule { when, then: Then::Canary }
}

/// A condition.
pub fn when(of: Subject, is: Test) -> Condition {
    Condition { of, is }
}

/// Users are known by the header `x-user`.
pub fn by_user() -> Vec<KeySource> {
    vec![KeySource::Header("x-user".to_owned())]
}

/// The affinity cookie `serin`.
pub fn affinity() -> Affinity {
    Affinity {
        cookie: "serin".to_owned(),
        max_age_s: 3600,
        domain: None,
        path: "/".to_owned(),
        http_only: true,
        secure: Secure::WhenHttps,
        same_site: SameSite::Lax,
        partitioned: false,
    }
}
