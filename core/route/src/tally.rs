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

/// Runs kept that have left the table: their counts may have yet to arrive, and a table may bring them back.
const ENDED_MAX: usize = 256;
/// Generations in one report; the rest takes its turn in the next.
const REPORTED_MAX: usize = 256;
/// About as many bytes of generations in one report, a small part of what a receiver takes; one fits always.
const REPORTED_BYTES_MAX: usize = 1 << 20;

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
    /// A delay was injected ([`crate::Ending::is_delayed`]): its age is left out.
    pub delayed: bool,
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

    /// Counts a request in. None where too many are in flight, or where a table brought back a generation whose counts
    /// were dropped long ago: that one goes uncounted.
    pub fn open(&mut self, opening: Opening) -> Option<Ticket> {
        let key = *self.loaded.get(opening.rollout)?;
        let run = run_mut(&mut self.runs, key)?;
        let route = run.route(opening.route);
        let generation = run.in_force()?;
        let ticket = self.open.insert(Open {
            run: key,
            generation: generation.number,
            track: opening.track,
            assignment: opening.assignment,
            route,
            key: opening.key,
            since_ns: opening.at_ns,
            upgraded: false,
            outlived: 0,
        })?;
        generation.open();
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

    /// Lets a request go whose end nobody saw: it counts as nothing, save for the edges that it was seen outliving.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is worth one closing")]
    pub fn forget(&mut self, ticket: Ticket) {
        let Some(open) = self.open.remove(&ticket) else { return };
        let run = run_mut(&mut self.runs, open.run);
        if let Some(it) = run.and_then(|run| run.generation(open.generation)) {
            it.forget(&open);
        }
    }

    /// Ends a flush: the users seen since the last one count as at risk, and requests in flight as having outlived
    /// the edges that they have. What is over and known to the receiver may be dropped then.
    pub fn flush(&mut self, now_ns: u64) {
        generations(&mut self.runs).for_each(Generation::begin_flush);
        for open in self.open.iter_mut() {
            let run = run_mut(&mut self.runs, open.run);
            if let Some(it) = run.and_then(|run| run.generation(open.generation)) {
                it.in_flight(open, now_ns);
            }
        }
        generations(&mut self.runs).for_each(Generation::end_flush);
        self.retire();
    }

    /// Hands over what Envoy's own counters have yet to be told.
    pub fn publish(&mut self, mut tell: impl FnMut(Delta<'_>)) {
        for run in &mut self.runs {
            run.publish(&mut tell);
        }
    }

    /// The rollouts' part of a report: the table's runs and those that are not over, with the generations that the
    /// receiver is not known to have. An answer still awaited for an earlier report counts for nothing from now on.
    pub fn report(&mut self, sequence: u64) -> Vec<RolloutReport> {
        // Those behind the last turn's end first, then from the start again.
        let (behind, before) = (self.due(true), self.due(false));
        let (mut reported, mut bytes) = (0_usize, 0_usize);
        for (key, number) in behind.into_iter().chain(before) {
            let run = run_mut(&mut self.runs, key);
            let Some(generation) = run.and_then(|run| run.generation(number)) else { continue };
            bytes = bytes.saturating_add(generation.size());
            if reported >= REPORTED_MAX || (reported > 0 && bytes > REPORTED_BYTES_MAX) {
                break;
            }
            generation.send(sequence);
            self.turn = (key, number);
            reported = reported.saturating_add(1);
        }
        self.sent = Some(sequence);
        let told = self.runs.iter().filter(|run| !run.ended || !run.is_settled());
        told.map(|run| run.report(sequence)).collect()
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

    /// The generations with news, behind the last turn's end or up to it.
    fn due(&self, behind: bool) -> Vec<(RunKey, u64)> {
        let places = self.runs.iter().flat_map(|run| {
            let due = run.generations.iter().filter(|it| it.has_news());
            due.map(|it| (run.key, it.number))
        });
        places.filter(|place| (*place > self.turn) == behind).collect()
    }

    fn retire(&mut self) {
        self.runs.retain_mut(Run::retire);
        let ended = self.runs.iter().filter(|run| run.ended).count();
        let mut excess = ended.saturating_sub(ENDED_MAX);
        // Those that are over first.
        for over in [true, false] {
            self.runs.retain(|run| {
                let is_over = run.is_settled() && !run.has_unpublished();
                let oldest = excess > 0 && run.ended && is_over == over;
                excess = excess.saturating_sub(usize::from(oldest));
                !oldest
            });
        }
    }
}

fn run_mut(runs: &mut [Run], key: RunKey) -> Option<&mut Run> {
    let place = runs.binary_search_by_key(&key, |run| run.key).ok()?;
    runs.get_mut(place)
}

fn generations(runs: &mut [Run]) -> impl Iterator<Item = &mut Generation> {
    runs.iter_mut().flat_map(|run| &mut run.generations)
}
