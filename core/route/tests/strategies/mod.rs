//! Arbitrary tables that are valid, and arbitrary requests that need not be.

use std::borrow::Cow;
use std::collections::BTreeMap;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;
use serin_route::{
    Affinity, Condition, Direct, KeySource, Otherwise, Reports, Request, Rollout, RoutePattern,
    Rule, SameSite, Secure, Side, Subject, Table, Test, Then, Weight,
};

/// A valid table of up to four rollouts.
pub(crate) fn table() -> impl Strategy<Value = Table> {
    let side = select(vec![Side::Client, Side::Server]);
    let head = ("[!-~]{1,20}", side, any::<bool>(), of(reports()));
    (head, vec(rollout(), 0..4)).prop_map(|((scope, side, claim, reports), mut rollouts)| {
        for (index, rollout) in rollouts.iter_mut().enumerate() {
            distinguish(rollout, index);
        }
        Table { scope, side, claim, reports, rollouts, ..Table::default() }
    })
}

/// Names and clusters occur once in a table.
fn distinguish(rollout: &mut Rollout, index: usize) {
    rollout.name = format!("{}-{index}", rollout.name);
    let direct = rollout.direct.iter_mut();
    for (place, cluster) in
        direct.flat_map(|it| it.primary.iter_mut().chain(&mut it.canary)).enumerate()
    {
        *cluster = format!("{cluster}-{index}-{place}");
    }
}

fn reports() -> impl Strategy<Value = Reports> {
    let text = || "[!-~]{1,30}";
    (text(), text(), "/[!-~]{0,30}", "[!-~]{0,30}", 100..=60_000_u32).prop_map(
        |(cluster, authority, path, token, period_ms)| Reports {
            cluster,
            authority,
            path,
            token,
            period_ms,
        },
    )
}

/// A valid rollout.
pub(crate) fn rollout() -> impl Strategy<Value = Rollout> {
    let identity = ("[!-.0-~]{1,20}", "[a-z0-9-]{1,20}", "[!-~]{1,20}", 0..=(1_u64 << 53));
    let draw = ("[0-9a-f]{32}", "[!-~]{1,20}", weight());
    let choice = (
        vec(rule(), 0..4),
        select(vec![Otherwise::Weighted, Otherwise::Primary]),
        vec(key_source(), 0..3),
        of(affinity()),
    );
    let count = (
        btree_set(1..=u32::MAX, 0..8),
        btree_map("[!-~]{1,9}", vec(condition(place()), 0..3), 0..4),
        of(direct()),
        any::<bool>(),
        any::<bool>(),
    );
    (identity, draw, choice, count).prop_map(|(identity, draw, choice, count)| {
        let (name, namespace, run, generation) = identity;
        let (salt, nonce, weight) = draw;
        let (rules, otherwise, keys, affinity) = choice;
        let (edges_ms, routes, direct, grpc, retries) = count;
        let edges_ms = edges_ms.into_iter().collect();
        let route = |(name, when)| RoutePattern { name, when };
        let routes = routes.into_iter().map(route).collect();
        Rollout {
            name,
            namespace,
            run,
            generation,
            salt,
            nonce,
            weight,
            rules,
            otherwise,
            keys,
            affinity,
            edges_ms,
            routes,
            direct,
            grpc,
            retries,
        }
    })
}

/// Any weight, the ends more often.
pub(crate) fn weight() -> impl Strategy<Value = Weight> {
    prop_oneof![Just(0), Just(10_000), 0..=10_000_u16]
        .prop_map(|it| Weight::from_basis_points(it).unwrap())
}

fn rule() -> impl Strategy<Value = Rule> {
    let then = select(vec![Then::Primary, Then::Canary, Then::Weighted]);
    let subject = prop_oneof![subject(), place()];
    (vec(condition(subject), 0..3), then).prop_map(|(when, then)| Rule { when, then })
}

fn condition(of: impl Strategy<Value = Subject>) -> impl Strategy<Value = Condition> {
    (of, test()).prop_map(|(of, is)| Condition { of, is })
}

/// What a named route may look at.
fn place() -> impl Strategy<Value = Subject> {
    select(vec![Subject::Method, Subject::Path, Subject::Authority])
}

fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        header().prop_map(Subject::Header),
        "[ab]".prop_map(Subject::Cookie),
        "[ab]|\\PC{1,5}".prop_map(Subject::Query),
        "[ab]|\\PC{1,5}".prop_map(Subject::Label),
    ]
}

fn header() -> impl Strategy<Value = String> {
    prop_oneof![select(vec!["cookie", ":path", "x-request-id"]).prop_map(str::to_owned), "x-[ab]"]
}

fn test() -> impl Strategy<Value = Test> {
    let text = || prop_oneof!["[ab]{0,2}", "\\PC{0,5}"];
    prop_oneof![
        text().prop_map(Test::Exact),
        text().prop_map(Test::Prefix),
        text().prop_map(Test::Suffix),
        select(vec!["", "a|b", "[ab]*", "(?i)A+", ".*=1(;.*)?"])
            .prop_map(|it| Test::Regex(it.into())),
        Just(Test::Present),
        Just(Test::Absent),
    ]
}

fn key_source() -> impl Strategy<Value = KeySource> {
    prop_oneof![
        header().prop_map(KeySource::Header),
        "[ab]".prop_map(KeySource::Cookie),
        Just(KeySource::RequestId),
    ]
}

fn affinity() -> impl Strategy<Value = Affinity> {
    let words = (
        select(vec![Secure::WhenHttps, Secure::Always]),
        select(vec![SameSite::Strict, SameSite::Lax, SameSite::None]),
    );
    let texts = ("[ab]", of("[a-z.]{1,9}"), "/[a-z/]{0,9}");
    (texts, 1..=u32::MAX, any::<bool>(), words, any::<bool>()).prop_map(
        |((cookie, domain, path), max_age_s, http_only, (secure, same_site), partitioned)| {
            Affinity { cookie, max_age_s, domain, path, http_only, secure, same_site, partitioned }
        },
    )
}

fn direct() -> impl Strategy<Value = Direct> {
    let names = || vec("[!-~]{1,20}", 0..3);
    (names(), names()).prop_map(|(primary, canary)| Direct { primary, canary })
}

/// A request of any headers, likely those that tables above ask for.
#[derive(Clone, Debug)]
pub(crate) struct Headers(pub(crate) BTreeMap<String, Vec<u8>>);

impl Request for Headers {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        Some(Cow::Borrowed(self.0.get(name)?))
    }
}

/// Hostile bytes, and some that look like cookies and queries.
pub(crate) fn headers() -> impl Strategy<Value = Headers> {
    let name = prop_oneof![
        select(vec!["cookie", ":path", ":method", ":authority", "x-request-id"])
            .prop_map(str::to_owned),
        "x-[ab]"
    ];
    let value = prop_oneof![
        vec(any::<u8>(), 0..40),
        "[ab=;&?%+#\" 01]{0,40}".prop_map(String::into_bytes),
        "a=[0-9a-f]{32}".prop_map(String::into_bytes),
    ];
    btree_map(name, value, 0..6).prop_map(Headers)
}
