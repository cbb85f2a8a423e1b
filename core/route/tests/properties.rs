//! What holds for every table, every request and every draw.
#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "a test may end so")]

mod common;
mod strategies;

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serin_route::{
    Assignment, Decision, Dice, KeySource, Kind, Labels, Otherwise, Place, Report, Rollout, Router,
    Scheme, Table, Track, Weight, route_name, set_cookie,
};
use strategies::{Headers, headers, rollout, table};

fn router(table: &Table) -> Router {
    Router::parse(&serde_json::to_vec(table).unwrap(), &Labels::new()).unwrap()
}

fn alone(rollout: Rollout) -> Router {
    router(&Table { scope: "s".into(), rollouts: vec![rollout], ..Table::default() })
}

fn dice() -> impl Strategy<Value = Dice> {
    (any::<u64>(), any::<u128>()).prop_map(|(draw, id)| Dice { draw, id })
}

/// Patterns of few letters, groups, classes and repetitions: what they match is likely to occur.
const PATTERN: &str = concat!(
    r"([ab.]|\[ab\]|\[\^a\]|\(a\|b\)|\(ab\|a\)|\(\?i:B\)|\\w|\\d)",
    r"([*+?]|\{1,2\})?",
    r"([ab|.]|\[ab\])*",
);

/// JSON of every shape, with the words that a table uses.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let word = "version|scope|rollouts|name|rules|when|of|is|then|keys|affinity|edgesMs|weight";
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        prop_oneof![word, "\\PC{0,9}"].prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 64, 8, move |inner| {
        let fields = proptest::collection::btree_map(word, inner.clone(), 0..8);
        prop_oneof![
            vec(inner, 0..8).prop_map(Into::into),
            fields.prop_map(|it| serde_json::Value::Object(it.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(table in table()) {
        let router = router(&table);
        prop_assert_eq!(router.table(), &table);
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = Router::parse(&bytes, &Labels::new());
        let _ = Report::parse(&bytes);
    }

    #[test]
    fn no_json_makes_reading_panic(mut json in json()) {
        if let Some(object) = json.as_object_mut() {
            object.insert("version".into(), 1.into());
        }
        let bytes = serde_json::to_vec(&json).unwrap();
        if let Err(problems) = Router::parse(&bytes, &Labels::new()) {
            prop_assert!(!problems.list().is_empty() && problems.to_string().len() < 18 << 10);
        }
        let _ = Report::parse(&bytes);
    }

    /// Cutting or changing a valid table anywhere is survived, too.
    #[test]
    fn no_damage_makes_reading_panic(table in table(), at in any::<Index>(), byte in any::<u8>()) {
        let mut bytes = serde_json::to_vec(&table).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = Router::parse(&bytes, &Labels::new());
        bytes.truncate(at);
        let _ = Router::parse(&bytes, &Labels::new());
    }

    #[test]
    fn every_request_is_decided(rollout in rollout(), headers in headers(), dice in dice()) {
        let (weight, affinity) = (rollout.weight, rollout.affinity.is_some());
        let routes = rollout.routes.len();
        let router = alone(rollout);
        let decision = router.decide(0, &headers, dice).unwrap();
        let Decision { track, assignment, key, route, cookie } = decision;
        prop_assert!(weight != Weight::ZERO || track == Track::Primary);
        prop_assert_eq!(key.is_some(), assignment == Assignment::Sticky);
        prop_assert!(route.is_none_or(|route| route < routes));
        let minted = assignment == Assignment::Weight && affinity && weight != Weight::ZERO;
        prop_assert_eq!(cookie.is_some(), minted);
        prop_assert_eq!(router.decide(0, &headers, dice), Some(decision), "the same again");
        prop_assert_eq!(router.decide(1, &headers, dice), None);
    }

    /// Only headers that `needs` names make a difference.
    #[test]
    fn needs_are_all_that_is_needed(rollout in rollout(), headers in headers(), dice in dice()) {
        let router = alone(rollout);
        let mut needed = headers.clone();
        needed.0.retain(|name, _| router.needs(0).contains(name));
        prop_assert_eq!(router.decide(0, &headers, dice), router.decide(0, &needed, dice));
        let mut names = router.needs(0).to_vec();
        names.sort_unstable();
        names.dedup();
        prop_assert_eq!(names.len(), router.needs(0).len());
    }

    /// Invariant 4: while the weight only grows, nobody moves back.
    #[test]
    fn nobody_moves_back(
        rollout in rollout(),
        headers in headers(),
        dice in dice(),
        mut weights in vec(0..=10_000_u16, 2..6),
    ) {
        weights.sort_unstable();
        let mut before = Track::Primary;
        for weight in weights {
            let weight = Weight::from_basis_points(weight).unwrap();
            let router = alone(Rollout { weight, ..rollout.clone() });
            let track = router.decide(0, &headers, dice).unwrap().track;
            prop_assert!(track >= before, "{before:?} before, {track:?} at {weight}");
            before = track;
        }
    }

    /// A minted id leads to the same side when the browser brings it back.
    #[test]
    fn a_minted_id_stays_on_its_side(mut rollout in rollout(), dice in dice()) {
        rollout.rules.clear();
        rollout.otherwise = Otherwise::Weighted;
        rollout.keys.clear();
        let Some(affinity) = rollout.affinity.clone() else { return Ok(()) };
        let router = alone(rollout);
        let first = router.decide(0, &Headers(BTreeMap::new()), dice).unwrap();
        let Some(id) = first.cookie else { return Ok(()) };
        let set = set_cookie(&affinity, id, Scheme::Https);
        let pair = set.split(';').next().unwrap().as_bytes().to_vec();
        let cookies = Headers([("cookie".to_owned(), pair)].into());
        let second = router.decide(0, &cookies, Dice { draw: 0, id: 0 }).unwrap();
        prop_assert_eq!((second.assignment, second.track), (Assignment::Sticky, first.track));
    }

    #[test]
    fn locating_agrees_with_a_scan(
        table in table(),
        before in "[a-z/-]{0,9}",
        behind in "([.-][a-z/.]{0,9})?",
        kind in prop::sample::select(vec![
            Kind::Primary, Kind::Canary, Kind::Unscoped, Kind::Failover,
        ]),
    ) {
        let router = router(&table);
        for (rollout, it) in table.rollouts.iter().enumerate() {
            let ours = route_name(&it.name, &it.namespace, kind);
            let name = format!("{before}{ours}{behind}");
            let place = Place { rollout, kind };
            if !behind.contains("serin/") {
                prop_assert_eq!(router.locate(name.as_bytes()), Some(place), "{}", name);
            }
            if let Some(direct) = &it.direct {
                let scan = |name: &String| direct.track(name).map(|track| (rollout, track));
                for name in direct.primary.iter().chain(&direct.canary) {
                    prop_assert_eq!(router.direct(name.as_bytes()), scan(name));
                }
            }
        }
    }

    #[test]
    fn no_name_makes_locating_panic(table in table(), name in vec(any::<u8>(), 0..60)) {
        let router = router(&table);
        let _ = router.locate(&name);
        let _ = router.locate(&[b"serin/", &name[..], b"/primary"].concat());
        let _ = router.direct(&name);
    }

    /// The small engine agrees with the regex crate's, both anchored, on ASCII.
    #[test]
    fn patterns_match_as_the_large_engine_does(
        pattern in PATTERN,
        value in "[abAB1 \n]{0,8}",
    ) {
        let oracle = regex::Regex::new(&format!(r"\A(?:{pattern})\z")).unwrap();
        let rule = format!(
            r#"[{{"when":[{{"of":{{"header":"x"}},"is":{{"regex":{}}}}}],"then":"canary"}}]"#,
            serde_json::to_string(&pattern).unwrap()
        );
        let table = format!(
            r#"{{"version":1,"scope":"s","rollouts":[{{"name":"a","namespace":"b","run":"r",
                "generation":1,"salt":"{:032}","nonce":"n","weight":1,"otherwise":"primary",
                "rules":{rule}}}]}}"#, 0
        );
        let router = Router::parse(table.as_bytes(), &Labels::new()).unwrap();
        let headers = Headers([("x".to_owned(), value.clone().into_bytes())].into());
        let track = router.decide(0, &headers, Dice { draw: 0, id: 0 }).unwrap().track;
        prop_assert_eq!(track == Track::Canary, oracle.is_match(&value), "{}", pattern);
    }
}

/// Shares are what the weight says, for draws and keys alike: within 4 sigma. The seed is fixed; of random ones, one
/// in some thousand would fail.
#[test]
fn shares_are_as_large_as_the_weight() {
    const REQUESTS: u32 = 20_000;
    for basis_points in [0, 1, 50, 100, 1000, 2500, 5000, 9000, 9999, 10_000] {
        let router = keyed(Weight::from_basis_points(basis_points).unwrap());
        let (mut by_draw, mut by_key) = (0_u32, 0_u32);
        for user in 0..REQUESTS {
            let dice = Dice { draw: splitmix(u64::from(user) << 16), id: 0 };
            let key = format!("user-{user}").into_bytes();
            let keyed = Headers([("x-user".to_owned(), key)].into());
            let canary = |headers: &Headers| {
                u32::from(router.decide(0, headers, dice).unwrap().track == Track::Canary)
            };
            by_draw += canary(&Headers(BTreeMap::new()));
            by_key += canary(&keyed);
        }
        let share = f64::from(basis_points) / 10_000.0;
        let expected = f64::from(REQUESTS) * share;
        let sigma = (expected * (1.0 - share)).sqrt();
        for (how, count) in [("draw", by_draw), ("key", by_key)] {
            let off = (f64::from(count) - expected).abs();
            assert!(off <= 4.0 * sigma, "by {how}: {count} of {REQUESTS} at {basis_points}");
        }
    }
}

/// One rollout whose users are told by `x-user`.
fn keyed(weight: Weight) -> Router {
    let keys = vec![KeySource::Header("x-user".into())];
    alone(Rollout { keys, ..common::rollout(weight) })
}

/// Steele, Lea, Flood: Fast splittable pseudorandom number generators; one step.
fn splitmix(state: u64) -> u64 {
    let mut bits = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
