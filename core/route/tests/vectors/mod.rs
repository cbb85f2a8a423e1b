//! The vectors of `golden/`, checked by native tests and by those on wasm32 alike.

#![expect(clippy::unwrap_used, reason = "a test may end so")]
use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serin_route::{
    AffinityId, Assignment, Dice, KeyHash, KeySource, Labels, Request, Rollout, Router, Table,
    Track, Weight,
};

const DECISIONS: &str = include_str!("../../golden/decisions.json");
const SIPHASH: &str = include_str!("../../golden/siphash.json");

#[derive(Deserialize)]
struct Decisions {
    tables: Vec<Chapter>,
}

/// One table and what becomes of requests under it.
#[derive(Deserialize)]
struct Chapter {
    says: String,
    labels: Labels,
    table: serde_json::Value,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    says: String,
    route: String,
    headers: Headers,
    draw: u64,
    id: String,
    expect: Expected,
}

/// Header values are written as Latin-1: one character is one byte.
#[derive(Deserialize)]
struct Headers(BTreeMap<String, String>);

#[derive(Debug, PartialEq, Deserialize)]
struct Expected {
    track: Track,
    assignment: Assignment,
    key: Option<KeyHash>,
    route: Option<String>,
    cookie: Option<String>,
}

#[derive(Deserialize)]
struct SipHash {
    key: String,
    hashes: Vec<KeyHash>,
    buckets: Vec<BucketOf>,
}

#[derive(Deserialize)]
struct BucketOf {
    salt: String,
    key: String,
    hash: KeyHash,
    bucket: u16,
}

impl Request for Headers {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let byte = |char: char| u8::try_from(u32::from(char)).unwrap();
        Some(Cow::Owned(self.0.get(name)?.chars().map(byte).collect()))
    }
}

/// A request with nothing but a key.
struct Keyed<'a>(&'a [u8]);

impl Request for Keyed<'_> {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        (name == "x-user").then_some(Cow::Borrowed(self.0))
    }
}

/// Every decision of `decisions.json`. Returns how many there are.
pub(crate) fn decisions() -> usize {
    let book: Decisions = serde_json::from_str(DECISIONS).unwrap();
    book.tables.iter().map(chapter).sum()
}

fn chapter(chapter: &Chapter) -> usize {
    let router = Router::parse(chapter.table.to_string().as_bytes(), &chapter.labels).unwrap();
    for case in &chapter.cases {
        let place = router.locate(case.route.as_bytes()).unwrap();
        let id = u128::from_str_radix(&case.id, 16).unwrap();
        let dice = Dice { draw: case.draw, id };
        let decision = router.decide(place.rollout, &case.headers, dice).unwrap();
        let rollout = router.rollout(place.rollout).unwrap();
        let got = Expected {
            track: decision.track,
            assignment: decision.assignment,
            key: decision.key,
            route: decision.route.map(|index| rollout.routes[index].name.clone()),
            cookie: decision.cookie.map(|id: AffinityId| id.to_string()),
        };
        let headers = &case.headers.0;
        assert_eq!(got, case.expect, "{}: {}: {headers:?}", chapter.says, case.says);
    }
    chapter.cases.len()
}

/// The vectors of `siphash.json`: hashes of 0 to 63 bytes, and buckets, found by the weight at which a key turns.
pub(crate) fn siphash() {
    let vectors: SipHash = serde_json::from_str(SIPHASH).unwrap();
    assert_eq!(vectors.hashes.len(), 64);
    for (length, hash) in (0..).zip(&vectors.hashes).skip(1) {
        let key: Vec<u8> = (0..length).collect();
        assert_eq!(decided(&vectors.key, &key, 0), (*hash, Track::Primary), "{length} bytes");
    }
    for BucketOf { salt, key, hash, bucket } in vectors.buckets {
        if key.is_empty() {
            continue;
        }
        let key = key.as_bytes();
        assert_eq!(decided(&salt, key, bucket), (hash, Track::Primary));
        assert_eq!(decided(&salt, key, bucket + 1), (hash, Track::Canary));
    }
}

/// A key's hash, and who serves it at a weight.
fn decided(salt: &str, key: &[u8], basis_points: u16) -> (KeyHash, Track) {
    let rollout = Rollout {
        salt: salt.into(),
        keys: vec![KeySource::Header("x-user".into())],
        ..crate::common::rollout(Weight::from_basis_points(basis_points).unwrap())
    };
    let table = Table { scope: "s".into(), rollouts: vec![rollout], ..Table::default() };
    let json = serde_json::to_vec(&table).unwrap();
    let router = Router::parse(&json, &Labels::new()).unwrap();
    let decision = router.decide(0, &Keyed(key), Dice { draw: 0, id: 0 }).unwrap();
    (decision.key.unwrap(), decision.track)
}
