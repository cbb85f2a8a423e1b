//! One VM of an Envoy: it steers and counts with the module's own code.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serin_route::{
    Closing, Labels, Opening, Outcome, Report, Request, Rollout, Router, Side, Table, Tally,
    Ticket, Track, VERSION, Weight,
};

use super::Dice;

/// A VM.
pub(super) struct Proxy {
    name: String,
    boot: String,
    router: Router,
    tally: Tally,
    sequence: u64,
    requests: u64,
    open: BTreeMap<u64, (Ticket, Track, bool)>,
    /// A request that was steered and not yet opened.
    steered: Option<Opening>,
    /// The highest weight of the run so far, and who was on the canary under it.
    run: String,
    weight: Weight,
    grows: bool,
    on_canary: BTreeSet<u32>,
    moved_back: u64,
}

struct User(Option<String>);

impl Request for User {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let user = self.0.as_ref().filter(|_| name == "x-user")?;
        Some(Cow::Borrowed(user.as_bytes()))
    }
}

impl Proxy {
    pub(super) fn new(index: usize, dice: &mut Dice) -> Self {
        Self {
            name: format!("proxy-{index}"),
            boot: format!("{:016x}", dice.bits()),
            router: Router::default(),
            tally: Tally::default(),
            sequence: 0,
            requests: 0,
            open: BTreeMap::new(),
            steered: None,
            run: String::new(),
            weight: Weight::ZERO,
            grows: true,
            on_canary: BTreeSet::new(),
            moved_back: 0,
        }
    }

    /// Takes a table with one rollout, or none, through its wire form.
    pub(super) fn load(&mut self, entries: &[Rollout]) {
        let table = Table {
            version: VERSION,
            scope: "prod".into(),
            side: Side::Client,
            claim: false,
            reports: None,
            rollouts: entries.to_vec(),
        };
        let json = serde_json::to_vec(&table).expect("a table is JSON");
        self.router = Router::parse(&json, &Labels::new()).expect("what we write, we read");
        self.tally.load(&self.router.table().rollouts);
        let Some(entry) = entries.first() else { return };
        if entry.run != self.run {
            self.run.clone_from(&entry.run);
            (self.weight, self.grows) = (Weight::ZERO, true);
            self.on_canary.clear();
        }
        self.grows &= entry.weight >= self.weight;
        self.weight = entry.weight;
    }

    /// Decides a request: whether the canary serves it. None while there is nothing to decide.
    pub(super) fn steer(&mut self, user: Option<u32>, dice: &mut Dice) -> Option<bool> {
        let request = User(user.map(|user| format!("user-{user}")));
        let dice = serin_route::Dice { draw: dice.bits(), id: u128::from(dice.bits()) };
        let decision = self.router.decide(0, &request, dice)?;
        let canary = decision.track == Track::Canary;
        if let Some(user) = user.filter(|_| self.grows) {
            if canary {
                self.on_canary.insert(user);
            } else if self.on_canary.contains(&user) {
                self.moved_back += 1;
            }
        }
        self.steered = Some(Opening {
            rollout: 0,
            track: decision.track,
            assignment: decision.assignment,
            key: decision.key,
            route: decision.route,
            at_ns: 0,
        });
        Some(canary)
    }

    /// Sends the steered request on.
    pub(super) fn open(&mut self, fails: bool, now_ms: u64) -> u64 {
        self.requests += 1;
        if let Some(opening) = self.steered.take()
            && let Some(ticket) = self.tally.open(Opening { at_ns: now_ms * 1_000_000, ..opening })
        {
            self.open.insert(self.requests, (ticket, opening.track, fails));
        }
        self.requests
    }

    pub(super) fn complete(&mut self, request: u64, now_ms: u64) {
        let Some((ticket, track, fails)) = self.open.remove(&request) else { return };
        let closing = Closing {
            served: Some(track),
            outcome: if fails { Outcome::Failed } else { Outcome::Succeeded },
            delayed: false,
            attempts: 1,
            upstream: None,
            at_ns: now_ms * 1_000_000,
        };
        self.tally.close(ticket, &closing);
    }

    pub(super) fn report(&mut self, now_ms: u64) -> Report {
        self.tally.flush(now_ms * 1_000_000);
        self.sequence += 1;
        let report = Report {
            version: VERSION,
            scope: "prod".into(),
            side: Side::Client,
            proxy: self.name.clone(),
            namespace: "prod".into(),
            boot: self.boot.clone(),
            sequence: self.sequence,
            problem: None,
            rollouts: self.tally.report(self.sequence),
        };
        let json = serde_json::to_vec(&report).expect("a report is JSON");
        Report::parse(&json).expect("what we write, we read")
    }

    pub(super) fn answered(&mut self, sequence: u64) {
        self.tally.acknowledge(sequence);
    }

    pub(super) fn moved_back(&self) -> u64 {
        self.moved_back
    }
}
