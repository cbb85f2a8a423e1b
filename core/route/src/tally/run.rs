//! The counts of one run of a rollout: its generations, and what Envoy's own counters have yet to be told.

use std::rc::Rc;

use crate::tally::cell::add;
use crate::tally::generation::{Generation, Scale};
use crate::tally::open::{Open, RunKey};
use crate::tally::users::FailedUsers;
use crate::tally::{Closing, Delta};
use crate::{Outcome, Rollout, RolloutReport, Track};

/// Generations kept of one run. They pile up only while no report is answered.
const GENERATIONS_MAX: usize = 64;
/// Of these, settled ones besides that in force: a table may bring one back, and its counts must go on then.
const SETTLED_MAX: usize = 2;

#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) key: RunKey,
    pub(crate) name: String,
    pub(crate) namespace: String,
    /// The run's identity, as the table has it.
    pub(crate) identity: String,
    /// The generation in force.
    pub(crate) generation: u64,
    /// No longer in the table.
    pub(crate) ended: bool,
    scale: Rc<Scale>,
    /// The table names other routes than the generation in force counts by.
    renamed: bool,
    /// By rising number.
    pub(crate) generations: Vec<Generation>,
    /// Above every generation that was dropped. One below it may be one of those, whose counts cannot go on.
    dropped: u64,
    failed: FailedUsers,
    primary: Unpublished,
    canary: Unpublished,
}

#[derive(Debug, Default)]
struct Unpublished {
    requests: u64,
    failures: u64,
}

impl Run {
    pub(crate) fn of(key: RunKey, rollout: &Rollout) -> Self {
        Self {
            key,
            name: rollout.name.clone(),
            namespace: rollout.namespace.clone(),
            identity: rollout.run.clone(),
            generation: rollout.generation,
            ended: false,
            scale: Scale::of(rollout),
            renamed: false,
            generations: Vec::new(),
            dropped: 0,
            failed: FailedUsers::default(),
            primary: Unpublished::default(),
            canary: Unpublished::default(),
        }
    }

    pub(crate) fn is_of(&self, rollout: &Rollout) -> bool {
        self.identity == rollout.run
            && self.name == rollout.name
            && self.namespace == rollout.namespace
    }

    /// Takes up what a new table says of it.
    pub(crate) fn load(&mut self, rollout: &Rollout) {
        self.ended = false;
        self.generation = rollout.generation;
        let scale = Scale::of(rollout);
        let counted = self.generation(rollout.generation);
        self.renamed = counted.is_some_and(|it| it.scale.routes != scale.routes);
        self.scale = scale;
    }

    /// The counts of a generation.
    pub(crate) fn generation(&mut self, number: u64) -> Option<&mut Generation> {
        let place = self.generations.binary_search_by_key(&number, |it| it.number).ok()?;
        self.generations.get_mut(place)
    }

    /// The counts of the generation in force; none if they were dropped once.
    pub(crate) fn in_force(&mut self) -> Option<&mut Generation> {
        let number = self.generation;
        if self.generation(number).is_none() {
            (number >= self.dropped).then_some(())?;
            self.make_room();
            let place = self.generations.partition_point(|it| it.number < number);
            self.generations.insert(place, Generation::new(number, self.scale.clone()));
        }
        self.generation(number)
    }

    /// The table's route as the generation in force counts it. Where the two name different routes, none is named.
    pub(crate) fn route(&self, index: Option<usize>) -> Option<u8> {
        index.filter(|_| !self.renamed).and_then(|index| u8::try_from(index).ok())
    }

    /// Counts a request out.
    pub(crate) fn close(&mut self, open: &Open, closing: &Closing<'_>) {
        if let Some(served) = closing.served.filter(|_| is_served(closing.outcome)) {
            self.publish_later(served, closing);
        }
        let number = open.generation;
        let place = self.generations.binary_search_by_key(&number, |it| it.number);
        if let Some(it) = place.ok().and_then(|place| self.generations.get_mut(place)) {
            it.close(open, closing, &mut self.failed);
        }
    }

    /// Remembers for Envoy's counters what was served.
    fn publish_later(&mut self, track: Track, closing: &Closing<'_>) {
        let unpublished = match track {
            Track::Primary => &mut self.primary,
            Track::Canary => &mut self.canary,
        };
        add(&mut unpublished.requests, 1);
        add(&mut unpublished.failures, u64::from(closing.outcome.is_failure()));
    }

    /// Hands over what Envoy's counters have yet to be told.
    pub(crate) fn publish(&mut self, tell: &mut impl FnMut(Delta<'_>)) {
        for (track, unpublished) in
            [(Track::Primary, &mut self.primary), (Track::Canary, &mut self.canary)]
        {
            let Unpublished { requests, failures } = std::mem::take(unpublished);
            if requests > 0 {
                let (name, namespace) = (&*self.name, &*self.namespace);
                tell(Delta { name, namespace, track, requests, failures });
            }
        }
    }

    /// Drops what is over and known to the receiver, but for the last few generations; whether anything is left that
    /// matters.
    pub(crate) fn retire(&mut self) -> bool {
        let over = self.generations.iter().filter(|it| it.number != self.generation);
        let over = over.filter(|it| it.is_settled()).count();
        for _ in SETTLED_MAX..over {
            self.drop_oldest_settled();
        }
        !self.ended || !self.generations.is_empty() || self.has_unpublished()
    }

    /// Whether nothing is in flight and the receiver has everything.
    pub(crate) fn is_settled(&self) -> bool {
        self.generations.iter().all(Generation::is_settled)
    }

    /// As the report of that sequence carries it.
    pub(crate) fn report(&self, sequence: u64) -> RolloutReport {
        let carried = self.generations.iter().filter(|it| it.sent == Some(sequence));
        RolloutReport {
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            run: self.identity.clone(),
            generation: self.generation,
            generations: carried.map(Generation::report).collect(),
        }
    }

    pub(crate) fn has_unpublished(&self) -> bool {
        self.primary.requests > 0 || self.canary.requests > 0
    }

    /// Makes room for one more generation, if need be at the oldest one's expense.
    fn make_room(&mut self) {
        if self.generations.len() < GENERATIONS_MAX || self.drop_oldest_settled() {
            return;
        }
        self.drop_at(0);
    }

    fn drop_oldest_settled(&mut self) -> bool {
        let over = |it: &Generation| it.number != self.generation && it.is_settled();
        let oldest = self.generations.iter().position(over);
        oldest.inspect(|place| self.drop_at(*place)).is_some()
    }

    fn drop_at(&mut self, place: usize) {
        let above = self.generations.remove(place).number.saturating_add(1);
        self.dropped = self.dropped.max(above);
    }
}

/// Whether somebody served it and knows how it went.
fn is_served(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Abandoned | Outcome::Excluded)
}
