//! Random histories: whatever comes in whichever order, the receiver ends with what happened.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What a random history does next.
#[derive(Clone, Debug)]
enum Act {
    Open {
        canary: bool,
    },
    Close {
        which: usize,
        outcome: Outcome,
    },
    /// A new generation, or a new run.
    Load {
        again: bool,
    },
    /// The table that was in force before.
    Back,
    Empty,
    Flush,
    /// A report, whether it arrives, and whether its answer comes back.
    Report {
        arrives: bool,
        answered: bool,
    },
}

fn act() -> impl Strategy<Value = Act> {
    let outcome = prop_oneof![
        Just(Outcome::Succeeded),
        Just(Outcome::Failed),
        Just(Outcome::Reset),
        Just(Outcome::Abandoned),
        Just(Outcome::Upgraded),
        Just(Outcome::Excluded)
    ];
    prop_oneof![
        6 => any::<bool>().prop_map(|canary| Act::Open { canary }),
        6 => (0..8_usize, outcome).prop_map(|(which, outcome)| Act::Close { which, outcome }),
        1 => any::<bool>().prop_map(|again| Act::Load { again }),
        1 => Just(Act::Back),
        1 => Just(Act::Empty),
        1 => Just(Act::Flush),
        2 => any::<(bool, bool)>()
            .prop_map(|(arrives, answered)| Act::Report { arrives, answered }),
    ]
}

/// Keeps the newest counts of every generation, as the controller does.
#[derive(Default)]
struct Receiver(BTreeMap<(String, u64), GenerationReport>);

impl Receiver {
    fn take(&mut self, rollouts: &[RolloutReport]) {
        for rollout in rollouts {
            for generation in &rollout.generations {
                let key = (rollout.run.clone(), generation.generation);
                self.0.insert(key, generation.clone());
            }
        }
    }

    fn totals(&self) -> BTreeMap<(String, u64, Track), (u64, u64, u64)> {
        let mut totals = BTreeMap::new();
        for ((run, generation), report) in &self.0 {
            for cell in &report.cells {
                let key = (run.clone(), *generation, cell.track);
                totals.insert(key, (cell.requests, cell.failures, cell.abandoned));
            }
        }
        totals
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nothing_is_lost_and_nothing_counted_twice(acts in prop::collection::vec(act(), 0..120)) {
        let (mut tally, mut receiver) = (Tally::default(), Receiver::default());
        let mut expected = BTreeMap::<_, (u64, u64, u64)>::new();
        let mut flying = Vec::new();
        let (mut now, mut sequence, mut table, mut before) = (0, 0, None, None);
        let mut send = |tally: &mut Tally, receiver: &mut Receiver, arrives, answered| {
            sequence += 1;
            let report = tally.report(sequence);
            if arrives { receiver.take(&report); }
            if arrives && answered { tally.acknowledge(sequence); }
        };
        for act in acts {
            now += 3 * MS;
            match act {
                Act::Open { canary } => {
                    let track = if canary { Track::Canary } else { Track::Primary };
                    let ticket = tally.open(weighted(track, now));
                    prop_assert_eq!(ticket.is_some(), table.is_some());
                    flying.extend(ticket.zip(table.clone()).map(|it| (it, track)));
                }
                Act::Close { which, outcome } if which < flying.len() => {
                    let ((ticket, (run, generation)), track) = flying.swap_remove(which);
                    tally.close(ticket, &ended(track, outcome, now));
                    let counts = expected.entry((run, generation, track)).or_default();
                    match outcome {
                        Outcome::Abandoned => counts.2 += 1,
                        Outcome::Excluded => {}
                        _ => counts.0 += 1,
                    }
                    counts.1 += u64::from(outcome.is_failure());
                }
                Act::Close { .. } => {}
                Act::Load { again } => {
                    before = table.take().or(before);
                    let run = before.clone().map(|(run, _)| run).filter(|_| again);
                    let run = run.unwrap_or_else(|| format!("r{now}"));
                    tally.load(&[rollout("shop", &run, now)]);
                    table = Some((run, now));
                }
                Act::Back => {
                    std::mem::swap(&mut table, &mut before);
                    let back = table.iter().map(|(run, generation)| rollout("shop", run, *generation));
                    tally.load(&back.collect::<Vec<_>>());
                }
                Act::Empty => {
                    tally.load(&[]);
                    before = table.take().or(before);
                }
                Act::Flush => {
                    tally.publish(|_| {});
                    tally.flush(now);
                }
                Act::Report { arrives, answered } => {
                    send(&mut tally, &mut receiver, arrives, answered);
                }
            }
        }
        tally.load(&[]);
        send(&mut tally, &mut receiver, true, true);
        for ((ticket, (run, generation)), track) in flying {
            tally.close(ticket, &ended(track, Outcome::Succeeded, now));
            expected.entry((run, generation, track)).or_default().0 += 1;
        }
        tally.publish(|_| {});
        tally.flush(now);
        send(&mut tally, &mut receiver, true, true);
        prop_assert!(tally.is_settled());
        prop_assert!(tally.report(u64::MAX).is_empty(), "ended and acknowledged: no more told");
        let mut totals = receiver.totals();
        for counts in [&mut totals, &mut expected] {
            counts.retain(|_, counts| *counts != (0, 0, 0));
        }
        prop_assert_eq!(totals, expected);
    }
}
