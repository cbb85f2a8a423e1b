//! Requests in flight: a bounded slab, so that a request costs no allocation and a stale ticket finds nothing.

use crate::{Assignment, KeyHash, Track};

/// Requests in flight that are followed; more go uncounted, which costs evidence and invents none.
const OPEN_MAX: usize = 65_536;

/// Which run a request belongs to; never used twice in one VM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RunKey(pub(crate) u64);

/// A request in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    pub(crate) run: RunKey,
    pub(crate) generation: u64,
    pub(crate) track: Track,
    pub(crate) assignment: Assignment,
    pub(crate) route: Option<u8>,
    pub(crate) key: Option<KeyHash>,
    pub(crate) since_ns: u64,
    /// Another kind of connection by now: its age says nothing.
    pub(crate) upgraded: bool,
    /// The edges that the last flush has counted it past. What was told is not taken back.
    pub(crate) outlived: usize,
}

/// Stands for one request in flight.
#[derive(Debug, PartialEq, Eq)]
pub struct Ticket {
    slot: u32,
    /// Tells this request from earlier ones of its slot.
    stamp: u32,
}

#[derive(Debug, Default)]
struct Slot {
    stamp: u32,
    open: Option<Open>,
}

#[derive(Debug, Default)]
pub(crate) struct Slab {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl Slab {
    pub(crate) fn insert(&mut self, open: Open) -> Option<Ticket> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.slots.len() < OPEN_MAX => {
                self.slots.push(Slot::default());
                u32::try_from(self.slots.len().saturating_sub(1)).ok()?
            }
            None => return None,
        };
        let place = self.slots.get_mut(usize::try_from(slot).ok()?)?;
        place.stamp = place.stamp.wrapping_add(1);
        place.open = Some(open);
        Some(Ticket { slot, stamp: place.stamp })
    }

    pub(crate) fn get_mut(&mut self, ticket: &Ticket) -> Option<&mut Open> {
        let slot = self.slots.get_mut(usize::try_from(ticket.slot).ok()?)?;
        if slot.stamp == ticket.stamp { slot.open.as_mut() } else { None }
    }

    pub(crate) fn remove(&mut self, ticket: &Ticket) -> Option<Open> {
        let slot = self.slots.get_mut(usize::try_from(ticket.slot).ok()?)?;
        if slot.stamp != ticket.stamp {
            return None;
        }
        let open = slot.open.take()?;
        self.free.push(ticket.slot);
        Some(open)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Open> {
        self.slots.iter_mut().filter_map(|slot| slot.open.as_mut())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.free.len() == self.slots.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(since_ns: u64) -> Open {
        Open {
            run: RunKey(0),
            generation: 1,
            track: Track::Canary,
            assignment: Assignment::Weight,
            route: None,
            key: None,
            since_ns,
            upgraded: false,
            outlived: 0,
        }
    }

    #[test]
    fn a_stale_ticket_finds_nothing() {
        let mut slab = Slab::default();
        let first = slab.insert(open(1)).unwrap();
        assert_eq!(slab.remove(&first).unwrap().since_ns, 1);
        let second = slab.insert(open(2)).unwrap();
        assert_eq!(first.slot, second.slot, "slots are used again");
        assert!(slab.remove(&first).is_none());
        assert!(slab.get_mut(&first).is_none());
        assert_eq!(slab.iter_mut().map(|open| open.since_ns).collect::<Vec<_>>(), [2]);
        assert!(slab.remove(&second).is_some() && slab.is_empty());
    }

    #[test]
    fn the_slab_is_bounded() {
        let mut slab = Slab::default();
        let tickets: Vec<_> = (0..OPEN_MAX).map(|_| slab.insert(open(0)).unwrap()).collect();
        assert!(slab.insert(open(0)).is_none());
        slab.remove(&tickets[7]);
        assert!(slab.insert(open(0)).is_some());
    }
}
