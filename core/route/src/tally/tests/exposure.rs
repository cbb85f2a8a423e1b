//! What was told of latency is not taken back: neither exposure nor its outlived part falls, however a request ends.

use proptest::prelude::*;

use super::*;

/// How a request goes on.
#[derive(Clone, Copy, Debug)]
enum Act {
    Open,
    Upgrade(usize),
    Forget(usize),
    Close {
        which: usize,
        served: Option<Track>,
        outcome: Outcome,
        delayed: bool,
    },
    Table(u64),
    /// Time passes, perhaps backwards, and a report goes out.
    Report {
        at_ms: u64,
    },
}

fn act() -> impl Strategy<Value = Act> {
    let which = || 0..6_usize;
    let served = prop_oneof![4 => Just(Some(Track::Canary)), 1 => Just(Some(Track::Primary)), 1 => Just(None)];
    let outcome = prop::sample::select(vec![
        Outcome::Succeeded,
        Outcome::Failed,
        Outcome::Reset,
        Outcome::Abandoned,
        Outcome::Upgraded,
        Outcome::Excluded,
    ]);
    prop_oneof![
        4 => Just(Act::Open),
        1 => which().prop_map(Act::Upgrade),
        1 => which().prop_map(Act::Forget),
        3 => (which(), served, outcome, any::<bool>()).prop_map(|(which, served, outcome, delayed)| {
            Act::Close { which, served, outcome, delayed }
        }),
        1 => (1..4_u64).prop_map(Act::Table),
        4 => prop::sample::select(vec![0, 2, 20, 200]).prop_map(|at_ms| Act::Report { at_ms }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn exposure_never_falls(acts in prop::collection::vec(act(), 0..80)) {
        let mut tally = loaded(&[rollout("shop", "r1", 1)]);
        let mut flying = Vec::new();
        let mut known = std::collections::BTreeMap::<(u64, usize), (u64, u64)>::new();
        let (mut now, mut sequence) = (0, 0);
        for act in acts {
            match act {
                Act::Open => flying.extend(tally.open(weighted(Track::Canary, 0))),
                Act::Upgrade(which) if which < flying.len() => tally.upgrade(&flying[which]),
                Act::Forget(which) if which < flying.len() => {
                    tally.forget(flying.swap_remove(which));
                }
                Act::Close { which, served, outcome, delayed } if which < flying.len() => {
                    let closing = ended(Track::Canary, outcome, now);
                    tally.close(flying.swap_remove(which), &Closing { served, delayed, ..closing });
                }
                Act::Upgrade(_) | Act::Forget(_) | Act::Close { .. } => {}
                Act::Table(generation) => tally.load(&[rollout("shop", "r1", generation)]),
                Act::Report { at_ms } => {
                    now = at_ms * MS;
                    sequence += 1;
                    tally.publish(|_| {});
                    tally.flush(now);
                    for generation in tally.report(sequence).iter().flat_map(|it| &it.generations) {
                        for edge in 0..3 {
                            let cell = generation.cells.first();
                            let now = cell.map_or((0, 0), |cell| cell.latency.at_edge(edge));
                            let before = known.insert((generation.generation, edge), now);
                            let before = before.unwrap_or_default();
                            prop_assert!(
                                now.0 >= before.0 && now.1 >= before.1,
                                "{now:?} after {before:?} at edge {edge}"
                            );
                        }
                    }
                    tally.acknowledge(sequence);
                }
            }
        }
    }
}

#[test]
fn an_injected_delay_leaves_the_latency_and_nothing_else_out() {
    let mut tally = loaded(&[rollout("shop", "r1", 1)]);
    for outcome in [Outcome::Succeeded, Outcome::Failed, Outcome::Reset] {
        let ticket = tally.open(weighted(Track::Canary, 0)).unwrap();
        let closing = ended(Track::Canary, outcome, 5_000 * MS);
        tally.close(ticket, &Closing { delayed: true, ..closing });
    }
    let cell = only(&mut tally, 1).cells[0].clone();
    assert_eq!((cell.requests, cell.failures, cell.resets), (3, 2, 1));
    assert_eq!(cell.latency, crate::Latency::default());
}

#[test]
fn an_injected_abort_counts_as_nothing() {
    let mut tally = loaded(&[rollout("shop", "r1", 1)]);
    let opening = Opening { assignment: Assignment::Sticky, ..weighted(Track::Canary, 0) };
    let ticket = tally.open(Opening { key: Some(KeyHash(1)), ..opening }).unwrap();
    tally.close(ticket, &ended(Track::Canary, Outcome::Excluded, MS));
    tally.publish(|_| panic!("nobody served it"));
    tally.flush(MS);
    let report = only(&mut tally, 1);
    assert_eq!((report.mismatched, report.cells.len(), report.keyed.len()), (0, 0, 0));
}

#[test]
fn a_request_that_has_just_ended_is_not_in_flight_as_well() {
    let mut tally = loaded(&[rollout("shop", "r1", 1)]);
    let ticket = tally.open(weighted(Track::Canary, 0)).unwrap();
    tally.flush(50 * MS);
    tally.close(ticket, &ended(Track::Canary, Outcome::Succeeded, 60 * MS));
    let latency = only(&mut tally, 1).cells[0].latency.clone();
    assert_eq!((&*latency.done, &*latency.censored), (&[0, 0, 1][..], &[][..]));
}

#[test]
fn a_forgotten_request_of_an_ended_run_is_told_of() {
    let mut tally = loaded(&[rollout("shop", "r1", 1)]);
    let ticket = tally.open(weighted(Track::Canary, 0)).unwrap();
    tally.flush(5 * MS);
    tally.report(1);
    tally.acknowledge(1);
    tally.load(&[]);
    tally.flush(50 * MS);
    tally.forget(ticket);
    tally.publish(|_| {});
    assert_eq!(only(&mut tally, 2).cells[0].latency.censored, [0, 0, 1]);
}
