//! What a decision costs with 1 000 rollouts in the table: `cargo bench -p serin-route`.
//!
//! Each figure is `locate` and `decide` together, one request after the other; the aim is 100 ns.

#![expect(clippy::unwrap_used, reason = "a bench may end so")]

#[path = "../tests/crowd/mod.rs"]
mod crowd;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use crowd::{Browser, DICE, ROUTE};
use serde_json::json;
use serin_route::{Labels, Router};

fn decide(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide");
    let path = json!({ "of": "path", "is": { "regex": "/pay/[a-z]+" } });
    let pattern = json!({ "rules": [{ "when": [path], "then": "canary" }] });
    let query = json!({ "of": { "query": "beta" }, "is": { "prefix": "yes" } });
    let query = json!({ "rules": [{ "when": [query], "then": "canary" }] });
    for (way, fields) in crowd::ways().into_iter().chain([("pattern", pattern), ("query", query)]) {
        let router = crowd::router(&fields);
        group.bench_function(way, |bencher| {
            bencher.iter(|| {
                let place = router.locate(black_box(ROUTE)).unwrap();
                router.decide(place.rollout, black_box(&Browser), black_box(DICE))
            });
        });
    }
    group.finish();
}

fn elsewhere(criterion: &mut Criterion) {
    let router = crowd::router(&json!({}));
    criterion.bench_function("a route of nobody's", |bencher| {
        bencher.iter(|| router.locate(black_box(b"outbound|80||other.prod.svc.cluster.local")));
    });
}

fn parse(criterion: &mut Criterion) {
    let table = serde_json::to_vec(crowd::router(&json!({})).table()).unwrap();
    criterion.bench_function("parse 1000 rollouts", |bencher| {
        bencher.iter(|| Router::parse(black_box(&table), &Labels::new()));
    });
}

criterion_group!(benches, decide, elsewhere, parse);
criterion_main!(benches);
