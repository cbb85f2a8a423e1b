//! Any bytes in any header, against a table that looks at all of them: always a decision, the same twice.
#![no_main]

use std::borrow::Cow;
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use serin_route::{Dice, Labels, Request, Router, Scheme, Track, Weight, set_cookie};

static ROUTER: LazyLock<Router> = LazyLock::new(|| {
    let table = include_bytes!("headers.json");
    Router::parse(table, &Labels::new()).map_err(|it| it.to_string()).unwrap()
});

#[derive(Arbitrary, Debug)]
struct Headers {
    path: Option<Vec<u8>>,
    method: Option<Vec<u8>>,
    authority: Option<Vec<u8>>,
    cookie: Option<Vec<u8>>,
    user: Option<Vec<u8>>,
    forwarded: Option<Vec<u8>>,
    route: Vec<u8>,
    draw: u64,
    id: u128,
}

impl Request for Headers {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let value = match name {
            ":path" => &self.path,
            ":method" => &self.method,
            ":authority" => &self.authority,
            "cookie" => &self.cookie,
            "x-user" => &self.user,
            "x-forwarded-proto" => &self.forwarded,
            other => panic!("nobody named {other} as needed"),
        };
        value.as_deref().map(Cow::Borrowed)
    }
}

fuzz_target!(|headers: Headers| {
    let _ = ROUTER.locate(&headers.route);
    let _ = ROUTER.direct(&headers.route);
    let dice = Dice { draw: headers.draw, id: headers.id };
    for (index, rollout) in ROUTER.table().rollouts.iter().enumerate() {
        let decision = ROUTER.decide(index, &headers, dice);
        assert_eq!(decision, ROUTER.decide(index, &headers, dice));
        let decision = decision.unwrap();
        assert!(rollout.weight != Weight::ZERO || decision.track == Track::Primary);
        if let (Some(id), Some(affinity)) = (decision.cookie, &rollout.affinity) {
            let value = set_cookie(affinity, id, Scheme::of(&headers));
            assert!(value.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        }
    }
});
