//! A decision allocates nothing; a query parameter that must be decoded and a pattern may.
#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "a test may end so")]

mod crowd;

use allocation_counter::measure;
use crowd::{Browser, DICE, INDEX, ROUTE};

#[test]
fn locating_and_deciding_allocate_nothing() {
    for (way, fields) in crowd::ways() {
        let router = crowd::router(&fields);
        let allocated = measure(|| {
            let place = router.locate(ROUTE).unwrap();
            assert_eq!(place.rollout, INDEX);
            assert!(router.decide(place.rollout, &Browser, DICE).is_some());
            assert!(router.direct(b"outbound|80||shop.prod.svc.cluster.local").is_none());
            assert!(router.locate(b"default").is_none());
        });
        assert_eq!(allocated.count_total, 0, "{way}");
    }
}

/// The measure itself works: what is known to allocate is seen.
#[test]
fn decoding_a_parameter_is_seen_to_allocate() {
    let rule = serde_json::json!({ "rules": [{ "then": "canary", "when": [
        { "of": { "query": "beta" }, "is": { "exact": "yes please" } }] }] });
    let router = crowd::router(&rule);
    let allocated = measure(|| {
        let decision = router.decide(0, &Browser, DICE).unwrap();
        assert_eq!(decision.track, serin_route::Track::Canary);
    });
    assert_eq!(allocated.count_total, 1);
}
