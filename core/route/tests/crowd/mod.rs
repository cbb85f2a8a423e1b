//! A table of many rollouts and the requests that a bench and the allocation test put to it.

use std::borrow::Cow;

use serde_json::{Value, json};
use serin_route::{Dice, Labels, Request, Router};

/// The last rollout: where a scan would take longest.
pub(crate) const INDEX: usize = 999;
/// Its default route.
pub(crate) const ROUTE: &[u8] = b"serin/shop-999.prod/primary";
/// A draw and an id.
pub(crate) const DICE: Dice = Dice { draw: 0x9e37_79b9_7f4a_7c15, id: 0x0123_4567_89ab_cdef };

/// Twelve headers, as a browser's request through a gateway has them. Looked up by a scan, which costs a few
/// nanoseconds of every figure.
pub(crate) struct Browser;

const HEADERS: [(&str, &str); 12] = [
    (":path", "/pay/checkout?session=8d5f&beta=yes%20please"),
    (":method", "GET"),
    (":authority", "shop.example.com"),
    (":scheme", "https"),
    ("cookie", "consent=all; theme=dark; aff=0123456789abcdef0123456789abcdef"),
    ("x-user", "user-4711"),
    ("x-request-id", "8f1c2d3e-0000-4000-8000-000000000001"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"),
    ("accept", "text/html,application/xhtml+xml"),
    ("accept-encoding", "gzip, deflate, br"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-for", "203.0.113.7"),
];

impl Request for Browser {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let (_, value) = HEADERS.iter().find(|(header, _)| *header == name)?;
        Some(Cow::Borrowed(value.as_bytes()))
    }
}

/// 1 000 rollouts alike: the weight, and these fields.
pub(crate) fn router(fields: &Value) -> Router {
    let rollout = |index: usize| {
        let mut rollout = json!({
            "name": format!("shop-{index}"), "namespace": "prod", "run": "r1", "generation": 1,
            "salt": "000102030405060708090a0b0c0d0e0f", "nonce": "n1", "weight": 2500
        });
        for (name, value) in fields.as_object().unwrap() {
            rollout[name] = value.clone();
        }
        rollout
    };
    let rollouts: Vec<Value> = (0..=INDEX).map(rollout).collect();
    let table = json!({ "version": 1, "scope": "prod", "rollouts": rollouts });
    Router::parse(table.to_string().as_bytes(), &Labels::new()).unwrap()
}

/// Ways to a decision that shall not allocate, each with its fields.
pub(crate) fn ways() -> [(&'static str, Value); 6] {
    let on = |of: Value, is: Value| json!([{ "of": of, "is": is }]);
    let path = |prefix: &str| on(json!("path"), json!({ "prefix": prefix }));
    let ruled = |when: Value| json!({ "rules": [{ "when": when, "then": "canary" }] });
    [
        ("weighted", json!({})),
        ("keyed", json!({ "keys": [{ "header": "x-user" }] })),
        ("cookie", json!({ "affinity": { "cookie": "aff" } })),
        ("minted", json!({ "affinity": { "cookie": "another" } })),
        ("rule", ruled(on(json!({ "header": "x-user" }), json!({ "exact": "user-4711" })))),
        (
            "named-routes",
            json!({ "routes": [{ "name": "a", "when": path("/search") },
                               { "name": "b", "when": path("/account/") },
                               { "name": "c", "when": path("/pay/") }] }),
        ),
    ]
}
