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
    /// The oldest first.
    pub(crate) generations: Vec<Generation>,
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
            generations: Vec::new(),
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
        self.scale = Scale::of(rollout);
    }

    /// The counts of a generation.
    pub(crate) fn generation(&mut self, number: u64) -> Option<&mut Generation> {
        self.generations.iter_mut().rev().find(|generation| generation.number == number)
    }

    /// Counts a request in, for the generation in force.
    pub(crate) fn open(&mut self) {
        let current = self.generation;
        if self.generation(current).is_none() {
            let excess = self.generations.len().saturating_add(1).saturating_sub(GENERATIONS_MAX);
            self.generations.drain(..excess);
            self.generations.push(Generation::new(current, self.scale.clone()));
        }
        if let Some(generation) = self.generation(current) {
            generation.open();
        }
    }

    /// Counts a request out.
    pub(crate) fn close(&mut self, open: &Open, closing: &Closing<'_>) {
        if let Some(served) = closing.served.filter(|_| closing.outcome != Outcome::Abandoned) {
            self.publish_later(served, closing);
        }
        let mut newest_first = self.generations.iter_mut().rev();
        if let Some(it) = newest_first.find(|it| it.number == open.generation) {
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

    /// Drops what is over and known to the receiver; whether anything is left that matters.
    pub(crate) fn retire(&mut self) -> bool {
        let (ended, current) = (self.ended, self.generation);
        self.generations.retain(|it| (!ended && it.number == current) || !it.is_settled());
        !ended || !self.generations.is_empty() || self.has_unpublished()
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

    fn has_unpublished(&self) -> bool {
        self.primary.requests > 0 || self.canary.requests > 0
    }
}
