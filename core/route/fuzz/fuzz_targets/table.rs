//! Any bytes as a table: refused in words, or read, and then written and read back alike.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serin_route::{Labels, Router};

fuzz_target!(|bytes: &[u8]| {
    let labels = Labels::from([("app".to_owned(), "web".to_owned())]);
    let router = match Router::parse(bytes, &labels) {
        Ok(router) => router,
        Err(problems) => {
            assert!(!problems.list().is_empty());
            assert!(problems.to_string().len() < 18 << 10);
            return;
        }
    };
    let table = router.table();
    let written = serde_json::to_vec(table).unwrap();
    let again = Router::parse(&written, &labels).map_err(|it| it.to_string());
    // An empty config has no scope; a table that is written has one.
    if !table.scope.is_empty() {
        assert_eq!(again.unwrap().table(), table);
    }
    for (index, rollout) in table.rollouts.iter().enumerate() {
        let kind = serin_route::Kind::Canary;
        let name = serin_route::route_name(&rollout.name, &rollout.namespace, kind);
        assert_eq!(router.locate(name.as_bytes()).map(|place| place.rollout), Some(index));
    }
});
