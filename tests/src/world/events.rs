//! What will happen, by time; what falls on one millisecond happens in the order in which it was planned.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use serin_route::Rollout;

/// Something that happens.
#[derive(Debug)]
pub(super) enum Event {
    /// A request comes.
    Arrival,
    /// A request is over.
    Completion { vm: usize, request: u64 },
    /// A VM's tick.
    Flush { vm: usize },
    /// The filters get a new table.
    Push { entries: Vec<Rollout> },
    /// The controller was to be woken; only by its newest alarm.
    Step { number: u64 },
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Events {
    order: BinaryHeap<Reverse<(u64, u64)>>,
    by_number: BTreeMap<u64, Event>,
    planned: u64,
}

impl Events {
    pub(super) fn push(&mut self, at_ms: u64, event: Event) {
        self.planned += 1;
        self.order.push(Reverse((at_ms, self.planned)));
        self.by_number.insert(self.planned, event);
    }

    pub(super) fn pop(&mut self) -> Option<(u64, Event)> {
        let Reverse((at_ms, number)) = self.order.pop()?;
        Some((at_ms, self.by_number.remove(&number)?))
    }
}
