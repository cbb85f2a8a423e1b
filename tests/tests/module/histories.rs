//! Random histories: configurations, requests, ticks and a receiver that comes and goes, in any order.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serin_route::{Rollout, Track};
use serin_tests::host::Answer;

use crate::fixture::{TRACK, Thread, rollout, shop, table};

#[derive(Clone, Debug)]
enum Act {
    Begin,
    Finish { which: usize, answer: Kind },
    Load { percent: u8 },
    Bad,
    DeleteOldest,
    Tick { fate: Fate },
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Fine,
    Error,
    Abort,
}

/// What becomes of the reports on their way.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Answered,
    Lost,
    /// It arrives and its answer does not.
    Unanswered,
    /// It waits for a later tick.
    Late,
}

fn act() -> impl Strategy<Value = Act> {
    let kind = prop_oneof![Just(Kind::Fine), Just(Kind::Error), Just(Kind::Abort)];
    let fate = prop_oneof![
        3 => Just(Fate::Answered),
        1 => Just(Fate::Lost),
        1 => Just(Fate::Unanswered),
        1 => Just(Fate::Late),
    ];
    prop_oneof![
        6 => Just(Act::Begin),
        6 => (0..6_usize, kind).prop_map(|(which, answer)| Act::Finish { which, answer }),
        1 => (0..=100_u8).prop_map(|percent| Act::Load { percent }),
        1 => Just(Act::Bad),
        1 => Just(Act::DeleteOldest),
        4 => fate.prop_map(|fate| Act::Tick { fate }),
    ]
}

/// Requests, failures, abandoned.
type Counts = BTreeMap<(u64, Track), (u64, u64, u64)>;

struct History {
    thread: Thread,
    generation: u64,
    /// Requests on their way, each with the generation and track that it was given.
    flying: Vec<(u32, u64, Track)>,
    /// Root contexts that newer ones have replaced.
    roots: Vec<u32>,
    expected: Counts,
}

impl History {
    fn new(seed: u64) -> Self {
        let thread = Thread::seeded(seed, &table(vec![rollout(50)]));
        let (flying, roots, expected) = (Vec::new(), Vec::new(), Counts::new());
        Self { thread, generation: 1, flying, roots, expected }
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Begin => self.begin(),
            Act::Finish { which, answer } if which < self.flying.len() => {
                let (id, generation, track) = self.flying.swap_remove(which);
                self.finish(id, (generation, track), answer);
            }
            Act::Load { percent } => {
                self.generation += 1;
                let rollout = Rollout { generation: self.generation, ..rollout(percent) };
                let old = self.thread.load(&table(vec![rollout]));
                self.roots.push(old);
            }
            Act::Bad => {
                let old = self.thread.configure(b"{\"version\": 2}");
                self.roots.push(old);
            }
            Act::DeleteOldest if !self.roots.is_empty() => {
                let oldest = self.roots.remove(0);
                self.thread.vm.delete(oldest);
            }
            Act::Finish { .. } | Act::DeleteOldest => {}
            Act::Tick { fate } => self.tick(fate),
        }
    }

    fn begin(&mut self) {
        let id = self.thread.vm.begin(self.thread.root, &shop());
        let canary = self.thread.vm.passed(id).request(TRACK).is_some();
        let track = if canary { Track::Canary } else { Track::Primary };
        self.flying.push((id, self.generation, track));
    }

    fn finish(&mut self, id: u32, key: (u64, Track), kind: Kind) {
        let counts = self.expected.entry(key).or_default();
        let answer = match kind {
            Kind::Fine => Answer::of(200),
            Kind::Error => Answer::of(500),
            Kind::Abort => Answer { code: None, flags: 0x4000, headers: None, ..Answer::of(0) },
        };
        match kind {
            Kind::Abort => counts.2 += 1,
            Kind::Fine | Kind::Error => counts.0 += 1,
        }
        counts.1 += u64::from(matches!(kind, Kind::Error));
        self.thread.vm.finish(id, &answer);
    }

    fn tick(&mut self, fate: Fate) {
        self.thread.vm.tick(self.thread.root);
        match fate {
            Fate::Answered => self.thread.deliver(),
            Fate::Lost => self.thread.lose(),
            Fate::Unanswered => {
                let calls = std::mem::take(&mut self.thread.vm.world_mut().calls);
                for call in calls {
                    self.thread.receiver.take(&call);
                    self.thread.vm.answer(&call, None);
                }
            }
            Fate::Late => {}
        }
    }

    fn end(&mut self) -> Counts {
        for (id, generation, track) in std::mem::take(&mut self.flying) {
            self.finish(id, (generation, track), Kind::Fine);
        }
        for _ in 0..12 {
            self.thread.tick();
        }
        let mut counts = Counts::new();
        for ((_, generation), report) in &self.thread.receiver.generations {
            assert_eq!(report.mismatched, 0);
            for cell in &report.cells {
                let seen = (cell.requests, cell.failures, cell.abandoned);
                counts.insert((*generation, cell.track), seen);
            }
        }
        counts
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn nothing_is_lost_and_nothing_counted_twice(
        seed in any::<u64>(),
        acts in prop::collection::vec(act(), 1..150),
    ) {
        let mut history = History::new(seed);
        for act in &acts {
            history.act(act);
        }
        let counts = history.end();
        prop_assert_eq!(counts, history.expected);
        let last = history.thread.receiver.last();
        prop_assert!(last.rollouts.iter().all(|rollout| rollout.generations.is_empty()));
    }
}
