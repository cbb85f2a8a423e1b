//! What became of the requests of one scope, counted in one VM until the receiver is known to have it.
//!
//! Counters are cumulative and belong to a generation of a run; a report repeats a generation until one that held its
//! newest counts was answered. Everything is bounded: beyond a bound evidence is lost, never invented. No clock in
//! here: times are arguments, in nanoseconds, all of one clock.

mod cell;
mod generation;
mod open;
mod run;
mod users;

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may overflow")]
mod tests;

use crate::{Assignment, KeyHash, Outcome, Rollout, RolloutReport, Track};
use generation::Generation;
pub use open::Ticket;
use open::{Open, RunKey, Slab};
use run::Run;

/// Runs kept that have left the table; they leave for good once the receiver has their counts.
const ENDED_MAX: usize = 256;
/// Generations in one report; the rest takes its turn in the next.
const REPORTED_MAX: usize = 256;

/// The counters of one scope in one VM.
#[derive(Debug, Default)]
pub struct Tally {
    /// By rising key.
    runs: Vec<Run>,
    /// The run of each of the newest table's rollouts.
    loaded: Vec<RunKey>,
    /// The newest run's key.
    next: RunKey,
    open: Slab,
    /// The report whose answer is awaited.
    sent: Option<u64>,
    /// The generation that the last crowded report ended with.
    turn: (RunKey, u64),
}

/// A request that goes to a track.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// Index of the rollout in the newest table.
    pub rollout: usize,
    /// The track decided.
    pub track: Track,
    /// How.
    pub assignment: Assignment,
    /// The user, where the assignment is [`Assignment::Sticky`].
    pub key: Option<KeyHash>,
    /// Index of the route pattern that it matches.
    pub route: Option<usize>,
    /// Now.
    pub at_ns: u64,
}

/// A request that is over.
#[derive(Clone, Copy, Debug)]
pub struct Closing<'a> {
    /// The track that served; none where it was neither. Another than decided is counted as mismatched and nowhere
    /// else.
    pub served: Option<Track>,
    /// What became of it.
    pub outcome: Outcome,
    /// Attempts at the upstream; 0 where nobody asked.
    pub attempts: u64,
    /// The upstream's address, of use for failures only.
    pub upstream: Option<&'a [u8]>,
    /// Now.
    pub at_ns: u64,
}

/// What Envoy's own counters have yet to be told of one track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta<'a> {
    /// The rollout's name.
    pub name: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// The track that served.
    pub track: Track,
    /// Requests that ended since the last time.
    pub requests: u64,
    /// Of these, failed.
    pub failures: u64,
}

impl Tally {
    /// Takes up a new table's rollouts. Requests in flight stay with the generation that decided them.
    pub fn load(&mut self, rollouts: &[Rollout]) {
        for run in &mut self.runs {
            run.ended = true;
        }
        self.loaded = rollouts.iter().map(|rollout| self.run_of(rollout)).collect();
        self.retire();
    }

    /// Counts a request in. None where too many are in flight: that one goes uncounted.
    pub fn open(&mut self, opening: Opening) -> Option<Ticket> {
        let key = *self.loaded.get(opening.rollout)?;
        let run = run_mut(&mut self.runs, key)?;
        let ticket = self.open.insert(Open {
            run: key,
            generation: run.generation,
            track: opening.track,
            assignment: opening.assignment,
            route: opening.route.and_then(|index| u8::try_from(index).ok()),
            key: opening.key,
            since_ns: opening.at_ns,
            upgraded: false,
        })?;
        run.open();
        Some(ticket)
    }

    /// Notes that a request became a connection of another kind, whose age says nothing.
    pub fn upgrade(&mut self, ticket: &Ticket) {
        if let Some(open) = self.open.get_mut(ticket) {
            open.upgraded = true;
        }
    }

    /// Counts a request out. A ticket whose generation was dropped meanwhile changes nothing.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is worth one closing")]
    pub fn close(&mut self, ticket: Ticket, closing: &Closing<'_>) {
        let Some(open) = self.open.remove(&ticket) else { return };
        let Some(run) = run_mut(&mut self.runs, open.run) else { return };
        run.close(&open, closing);
    }

    /// Lets a request go whose end nobody saw: it counts as nothing.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is worth one closing")]
    pub fn forget(&mut self, ticket: Ticket) {
        let Some(open) = self.open.remove(&ticket) else { return };
        let run = run_mut(&mut self.runs, open.run);
        if let Some(it) = run.and_then(|run| run.generation(open.generation)) {
            it.forget();
        }
    }

    /// Ends a flush: the users seen since the last one count as at risk, and requests in flight as having outlived
    /// the edges that they have.
    pub fn flush(&mut self, now_ns: u64) {
        generations(&mut self.runs).for_each(Generation::begin_flush);
        for open in self.open.iter() {
            let run = run_mut(&mut self.runs, open.run);
            if let Some(it) = run.and_then(|run| run.generation(open.generation)) {
                it.in_flight(open, now_ns);
            }
        }
        generations(&mut self.runs).for_each(Generation::end_flush);
    }

    /// Hands over what Envoy's own counters have yet to be told.
    pub fn publish(&mut self, mut tell: impl FnMut(Delta<'_>)) {
        for run in &mut self.runs {
            run.publish(&mut tell);
        }
        self.retire();
    }

    /// The rollouts' part of a report: all runs, with the generations that the receiver is not known to have. An
    /// answer still awaited for an earlier report counts for nothing from now on.
    pub fn report(&mut self, sequence: u64) -> Vec<RolloutReport> {
        let mut room = REPORTED_MAX;
        // Those behind the last turn's end first, then from the start again.
        let start = self.turn;
        for behind in [true, false] {
            for run in &mut self.runs {
                let key = run.key;
                let fits = |it: &&mut Generation| ((key, it.number) > start) == behind;
                let due = run.generations.iter_mut().filter(fits).filter(|it| it.has_news());
                for generation in due.take(room) {
                    generation.send(sequence);
                    self.turn = (key, generation.number);
                    room = room.saturating_sub(1);
                }
            }
        }
        self.sent = Some(sequence);
        self.runs.iter().map(|run| run.report(sequence)).collect()
    }

    /// The report of that sequence was answered with 200.
    pub fn acknowledge(&mut self, sequence: u64) {
        if self.sent != Some(sequence) {
            return;
        }
        for generation in generations(&mut self.runs).filter(|it| it.sent == Some(sequence)) {
            generation.acknowledge();
        }
        self.retire();
    }

    /// Nobody receives reports: what was counted is for Envoy's own counters alone.
    pub fn settle(&mut self) {
        generations(&mut self.runs).for_each(Generation::settle);
        self.retire();
    }

    /// Nothing is in flight and the receiver has everything.
    pub fn is_settled(&self) -> bool {
        let mut all = self.runs.iter().flat_map(|run| &run.generations);
        self.open.is_empty() && all.all(Generation::is_settled)
    }

    fn run_of(&mut self, rollout: &Rollout) -> RunKey {
        if let Some(run) = self.runs.iter_mut().find(|run| run.is_of(rollout)) {
            run.load(rollout);
            return run.key;
        }
        self.next = RunKey(self.next.0.saturating_add(1));
        self.runs.push(Run::of(self.next, rollout));
        self.next
    }

    fn retire(&mut self) {
        self.runs.retain_mut(Run::retire);
        let ended = self.runs.iter().filter(|run| run.ended).count();
        let mut excess = ended.saturating_sub(ENDED_MAX);
        self.runs.retain(|run| {
            let oldest = run.ended && excess > 0;
            excess = excess.saturating_sub(usize::from(oldest));
            !oldest
        });
    }
}

fn run_mut(runs: &mut [Run], key: RunKey) -> Option<&mut Run> {
    let place = runs.binary_search_by_key(&key, |run| run.key).ok()?;
    runs.get_mut(place)
}

fn generations(runs: &mut [Run]) -> impl Iterator<Item = &mut Generation> {
    runs.iter_mut().flat_map(|run| &mut run.generations)
}
