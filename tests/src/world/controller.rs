//! The controller's loop: observe, step, commit, apply, announce.

use jiff::Timestamp;
use serin_rollout::{
    Acknowledged, Book, Desired, Ledger, Notice, Phase, Projection, Readiness, Seen, Stage, Status,
    Workloads, desired, step,
};
use serin_route::{Report, Rollout};

use super::{Dice, PUSH_MS, Scenario};

/// When the world began.
const EPOCH_MS: i64 = 1_700_000_000_000;

/// The controller.
pub(super) struct Controller<'s> {
    scenario: &'s Scenario,
    status: Status,
    ledger: Ledger,
    book: Book,
    projected: Option<Desired>,
    /// When the filters were given what is desired now.
    applied_ms: u64,
    notices: Vec<Notice>,
}

/// What a step asks of the world.
pub(super) struct Decided {
    pub(super) wake_ms: u64,
    /// The new table, if it changes.
    pub(super) push: Option<Entries>,
}

/// A table's rollouts: the one, or none.
pub(super) type Entries = Vec<Rollout>;

impl<'s> Controller<'s> {
    pub(super) fn new(scenario: &'s Scenario) -> Self {
        let status = Status {
            phase: Phase::Initialized,
            promoted_revision: Some("v1".into()),
            tried_revision: Some("v1".into()),
            ..Status::default()
        };
        Self {
            scenario,
            status,
            ledger: Ledger::default(),
            book: Book::default(),
            projected: None,
            applied_ms: 0,
            notices: Vec::new(),
        }
    }

    pub(super) fn receive(&mut self, report: &Report, now_ms: u64) {
        // Refusals are as good as losses here.
        let _ = self.book.enter(report, at(now_ms));
    }

    pub(super) fn step(&mut self, now_ms: u64, dice: &mut Dice) -> Decided {
        let seen = self.observe(now_ms, dice);
        let ledger = std::mem::take(&mut self.ledger);
        let decision = step(&self.scenario.plan, &self.status, ledger, &seen, at(now_ms));
        self.status = decision.status;
        self.ledger = decision.ledger;
        self.notices.extend(decision.notices);
        self.open_book();
        let wake_ms = u64::try_from(decision.wake.as_millis()).unwrap_or(u64::MAX);
        Decided { wake_ms, push: self.project(now_ms) }
    }

    /// Loses all that is not in status, as a controller that dies does.
    pub(super) fn forget(&mut self) {
        self.ledger = Ledger::default();
        let run = self.status.run.as_ref().map_or("", |run| run.id.as_str());
        self.book = Book::new(&self.scenario.plan.name, &self.scenario.plan.namespace, run);
    }

    pub(super) fn phase(&self) -> Phase {
        self.status.phase
    }

    pub(super) fn percent(&self) -> f64 {
        self.status.run.as_ref().map_or(0.0, |run| run.weight.fraction() * 100.0)
    }

    pub(super) fn is_quarantined(&self) -> bool {
        self.status.run.as_ref().is_some_and(|run| run.quarantine.is_some())
    }

    pub(super) fn is_settled(&self) -> bool {
        self.status.run.as_ref().is_some_and(|run| run.stage == Stage::Settled)
    }

    /// When all VMs showed the generation of the status; none if they do not.
    pub(super) fn shown_ms(&self) -> Option<u64> {
        let run = self.status.run.as_ref()?;
        let all = self.book.heard().all(|vm| vm.generation >= Some(run.generation));
        let shown = self.book.shown_at(run.generation).filter(|_| all)?;
        u64::try_from(shown.as_millisecond() - EPOCH_MS).ok()
    }

    pub(super) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    fn observe(&self, now_ms: u64, dice: &mut Dice) -> Seen {
        let generation = self.status.run.as_ref().map_or(0, |run| run.generation);
        let pushed_ms = self.applied_ms + PUSH_MS;
        let acknowledged = if now_ms < pushed_ms {
            Acknowledged::No
        } else {
            let vms = Some(self.scenario.vms);
            self.book.acknowledged(generation, at(pushed_ms), at(now_ms), 1000, vms)
        };
        let promoting = desired(&self.scenario.plan, &self.status).primary_revision;
        Seen {
            dice: dice.bytes(),
            revision: "v2".into(),
            workloads: Workloads {
                primary: Readiness::Ready,
                primary_revision: promoting.unwrap_or_default(),
                canary: Readiness::Ready,
                canary_pods: self.scenario.pods,
            },
            projection: Projection { applied: true, acknowledged },
            traffic: self.book.traffic(at(now_ms)),
            ..Seen::default()
        }
    }

    fn open_book(&mut self) {
        let run = self.status.run.as_ref().map_or("", |run| run.id.as_str());
        if self.book.run() != run {
            self.book = Book::new(&self.scenario.plan.name, &self.scenario.plan.namespace, run);
        }
    }

    fn project(&mut self, now_ms: u64) -> Option<Entries> {
        let desired = desired(&self.scenario.plan, &self.status);
        if self.projected.as_ref() == Some(&desired) {
            return None;
        }
        let entries = desired.rollout.iter().cloned().collect();
        let changed = self.projected.as_ref().map(|it| &it.rollout) != Some(&desired.rollout);
        self.projected = Some(desired);
        if changed {
            self.applied_ms = now_ms;
        }
        changed.then_some(entries)
    }
}

fn at(ms: u64) -> Timestamp {
    let ms = EPOCH_MS.saturating_add_unsigned(ms);
    Timestamp::from_millisecond(ms).expect("a time within reach")
}
