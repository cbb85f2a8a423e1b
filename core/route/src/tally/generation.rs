//! The counts of one generation of a run, and whether the receiver knows them.

use std::rc::Rc;

use crate::tally::Closing;
use crate::tally::cell::{COUNT_BYTES, CellKey, Cells, Counts, add};
use crate::tally::open::Open;
use crate::tally::users::{FailedUsers, Users};
use crate::{Assignment, GenerationReport, KeyHash, Outcome, Rollout, Track};

/// About how many bytes a generation takes on the wire without its cells and users.
const GENERATION_BYTES: usize = 128;

/// What a run's requests are measured by. Generations keep it as their table had it, whatever later tables say.
#[derive(Debug)]
pub(crate) struct Scale {
    edges_ms: Vec<u32>,
    pub(crate) routes: Vec<String>,
}

impl Scale {
    pub(crate) fn of(rollout: &Rollout) -> Rc<Self> {
        let routes = rollout.routes.iter().map(|route| route.name.clone()).collect();
        Rc::new(Self { edges_ms: rollout.edges_ms.clone(), routes })
    }

    /// How many edges an age has outlived; one equal to an edge has not outlived it.
    fn outlived(&self, age_ns: u64) -> usize {
        self.edges_ms.partition_point(|edge| u64::from(*edge).saturating_mul(1_000_000) < age_ns)
    }

    fn route(&self, index: Option<u8>) -> Option<&str> {
        self.routes.get(usize::from(index?)).map(String::as_str)
    }
}

#[derive(Debug)]
pub(crate) struct Generation {
    pub(crate) number: u64,
    pub(crate) scale: Rc<Scale>,
    mismatched: u64,
    cells: Cells,
    primary: Users,
    canary: Users,
    /// Requests in flight.
    open: u64,
    /// Rises with every change of what a report would say.
    changes: u64,
    /// The changes that the receiver is known to have.
    acknowledged: u64,
    /// The last report that carried it, and the changes that it told of.
    pub(crate) sent: Option<u64>,
    sent_changes: u64,
}

impl Generation {
    pub(crate) fn new(number: u64, scale: Rc<Scale>) -> Self {
        Self {
            number,
            scale,
            mismatched: 0,
            cells: Cells::default(),
            primary: Users::default(),
            canary: Users::default(),
            open: 0,
            changes: 0,
            acknowledged: 0,
            sent: None,
            sent_changes: 0,
        }
    }

    pub(crate) fn open(&mut self) {
        add(&mut self.open, 1);
    }

    /// A request that is over.
    pub(crate) fn close(&mut self, open: &Open, closing: &Closing<'_>, failed: &mut FailedUsers) {
        self.open = self.open.saturating_sub(1);
        add(&mut self.changes, 1);
        if closing.served != Some(open.track) {
            add(&mut self.mismatched, 1);
            self.lose(open);
            return;
        }
        let outlived = self.scale.outlived(closing.at_ns.saturating_sub(open.since_ns));
        if let Some(counts) = self.cells.at(cell_key(open)) {
            counts.close(closing, outlived, open.outlived);
        }
        if let Some(key) = user(open, closing.outcome) {
            let users = match open.track {
                Track::Primary => &mut self.primary,
                Track::Canary => &mut self.canary,
            };
            users.close(key, closing.outcome.is_failure(), self.number, failed);
        }
    }

    /// A request whose end nobody saw.
    pub(crate) fn forget(&mut self, open: &Open) {
        self.open = self.open.saturating_sub(1);
        self.lose(open);
    }

    /// Begins a flush: ends that of the users, and forgets the requests in flight to count them anew.
    pub(crate) fn begin_flush(&mut self) {
        let changed = u64::from(self.primary.flush() | self.canary.flush());
        add(&mut self.changes, changed);
        self.cells.iter_mut().for_each(Counts::recount);
    }

    /// A request in flight; only one that outlived an edge says anything.
    pub(crate) fn in_flight(&mut self, open: &mut Open, now_ns: u64) {
        if !open.upgraded {
            let outlived = self.scale.outlived(now_ns.saturating_sub(open.since_ns));
            open.outlived = open.outlived.max(outlived);
        }
        if open.outlived > 0
            && let Some(counts) = self.cells.at(cell_key(open))
        {
            counts.in_flight(open.outlived);
        }
    }

    /// Ends a flush: notes a change if the requests in flight are not as they were.
    pub(crate) fn end_flush(&mut self) {
        let changed = !self.cells.iter().all(|(_, counts)| counts.is_as_before());
        add(&mut self.changes, u64::from(changed));
    }

    /// Whether the receiver is not known to have everything.
    pub(crate) fn has_news(&self) -> bool {
        self.changes != self.acknowledged
    }

    /// Goes into the report of that sequence.
    pub(crate) fn send(&mut self, sequence: u64) {
        self.sent = Some(sequence);
        self.sent_changes = self.changes;
    }

    /// The last report that carried it was answered.
    pub(crate) fn acknowledge(&mut self) {
        self.acknowledged = self.sent_changes;
    }

    /// Nobody is to be told.
    pub(crate) fn settle(&mut self) {
        self.acknowledged = self.changes;
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.open == 0 && !self.has_news()
    }

    /// About how many bytes a report of it takes; no more than three times as many, however long its numbers.
    pub(crate) fn size(&self) -> usize {
        let edges = self.scale.edges_ms.len().saturating_mul(COUNT_BYTES);
        let users = self.primary.size().saturating_add(self.canary.size());
        let cell = |(key, counts): &(CellKey, Counts)| {
            let route = self.scale.route(key.route).map_or(0, str::len);
            counts.size().saturating_add(route)
        };
        let cells: usize = self.cells.iter().map(cell).sum();
        cells.saturating_add(users).saturating_add(edges).saturating_add(GENERATION_BYTES)
    }

    pub(crate) fn report(&self) -> GenerationReport {
        let users = [(Track::Primary, &self.primary), (Track::Canary, &self.canary)];
        GenerationReport {
            generation: self.number,
            edges_ms: self.scale.edges_ms.clone(),
            mismatched: self.mismatched,
            cells: (self.cells.iter())
                .filter_map(|(key, counts)| counts.cell(*key, self.scale.route(key.route)))
                .collect(),
            keyed: users.iter().filter_map(|(track, users)| users.keyed(*track)).collect(),
        }
    }

    /// A request leaves the latency that flushes have told of where it is.
    fn lose(&mut self, open: &Open) {
        if open.outlived > 0
            && let Some(counts) = self.cells.at(cell_key(open))
        {
            counts.lose(open.outlived);
            add(&mut self.changes, 1);
        }
    }
}

fn cell_key(open: &Open) -> CellKey {
    let Open { track, assignment, route, .. } = *open;
    CellKey { track, assignment, route }
}

/// The user of a randomised request whose outcome is known.
fn user(open: &Open, outcome: Outcome) -> Option<KeyHash> {
    let known = !matches!(outcome, Outcome::Abandoned | Outcome::Excluded);
    open.key.filter(|_| known && open.assignment == Assignment::Sticky)
}
