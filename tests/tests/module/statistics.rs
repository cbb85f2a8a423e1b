//! Envoy's statistics and the module's memory.

use serin_route::{Rollout, Track};
use serin_tests::host::{Answer, Exchange, Routes};

use crate::fixture::{Thread, rollout, shop, table};

#[test]
fn statistics_carry_istios_default_labels() {
    let dotted = Rollout { name: "shop.v2".into(), ..rollout(100) };
    let mut thread = Thread::with(&table(vec![dotted]));
    let routes = Routes::Rollout { place: "shop.v2.prod".into(), nonce: "nonce-1".into() };
    for code in [200, 200, 503] {
        thread.exchange(&Exchange::get(routes.clone()), &Answer::of(code));
    }
    thread.settle();
    let labels = "wasm_filter.serin.cache.shop_v2.component.canary.tag.prod;";
    let world = thread.vm.world();
    assert_eq!(world.metric(&format!("{labels}.serin_requests_total")), Some(3));
    assert_eq!(world.metric(&format!("{labels}.serin_failures_total")), Some(1));
    let delivered = world.metric("wasm_filter.serin.serin_reports_delivered_total");
    assert_eq!(delivered, Some(4));
}

#[test]
fn different_names_have_different_statistics() {
    let names = ["a.b", "a_b", "a~5fb", "a-b", "a:b"];
    let rollouts = names.map(|name| Rollout { name: name.into(), ..rollout(100) });
    let mut thread = Thread::with(&table(rollouts.to_vec()));
    for (count, name) in names.iter().enumerate() {
        let routes = Routes::Rollout { place: format!("{name}.prod"), nonce: "nonce-1".into() };
        for _ in 0..=count {
            thread.exchange(&Exchange::get(routes.clone()), &Answer::of(200));
        }
    }
    thread.settle();
    let world = thread.vm.world();
    for (label, count) in ["a_b", "a~5fb", "a~7e5fb", "a-b", "a~3ab"].into_iter().zip(1..) {
        let name = format!(
            "wasm_filter.serin.cache.{label}.component.canary.tag.prod;.serin_requests_total"
        );
        assert_eq!(world.metric(&name), Some(count), "{label}");
    }
}

#[test]
fn statistics_are_bounded() {
    let mut thread = Thread::with(&table(Vec::new()));
    for number in 0..1_500_u64 {
        let name = format!("shop-{number}");
        let rollout = Rollout { name: name.clone(), run: format!("run-{number}"), ..rollout(100) };
        let old = thread.load(&table(vec![rollout]));
        thread.vm.delete(old);
        let routes = Routes::Rollout { place: format!("{name}.prod"), nonce: "nonce-1".into() };
        thread.exchange(&Exchange::get(routes), &Answer::of(200));
        thread.tick();
    }
    let served = |name: &&str| name.contains("serin_requests_total");
    let count = thread.vm.world().metrics().filter(served).count();
    assert_eq!(count, 1_025, "1024 of their own and one for the rest");
}

#[test]
fn a_hundred_thousand_requests_take_no_memory() {
    let mut thread = Thread::with(&table(vec![rollout(50)]));
    let turn = |thread: &mut Thread, requests: u32| {
        for n in 0..requests {
            let code = if n % 50 == 0 { 503 } else { 200 };
            thread.exchange(&shop(), &Answer::of(code));
            if n % 1_000 == 0 {
                thread.tick();
            }
        }
    };
    turn(&mut thread, 5_000);
    let before = thread.vm.memory_bytes();
    turn(&mut thread, 100_000);
    assert_eq!(thread.vm.memory_bytes(), before);
    thread.settle();
    let cells = thread.generation(1).cells;
    let of = |track| cells.iter().filter(move |it| it.track == track).map(|it| it.requests);
    let (primary, canary) = (of(Track::Primary).sum::<u64>(), of(Track::Canary).sum::<u64>());
    assert_eq!(primary + canary, 105_000);
    assert!(primary.abs_diff(canary) < 2_000, "{primary} {canary}");
}

#[test]
fn requests_that_never_end_are_bounded() {
    let mut thread = Thread::with(&table(vec![rollout(50)]));
    // More than the filter follows; the surplus is steered but not counted.
    let ids: Vec<u32> = (0..70_000).map(|_| thread.vm.begin(thread.root, &shop())).collect();
    let full = thread.vm.memory_bytes();
    assert!(full < 64 << 20, "{full}");
    for id in ids {
        thread.vm.finish(id, &Answer::of(200));
    }
    thread.settle();
    let counted: u64 = thread.generation(1).cells.iter().map(|cell| cell.requests).sum();
    assert_eq!(counted, 65_536);
    assert_eq!(thread.vm.memory_bytes(), full);
}
