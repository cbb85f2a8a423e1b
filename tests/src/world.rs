//! A release in virtual time: users, filters, the controller's loop, and nothing real but the code under test.
//!
//! Users are steered by [`serin_route::Router`] and counted by [`serin_route::Tally`], as in an Envoy; reports go into
//! the [`serin_rollout::Book`], [`serin_rollout::step()`] decides, and what it decides is shown by the filters a moment
//! later. A seed is a world: the same seed is the same second by second.

mod controller;
mod dice;
mod events;
mod proxy;
mod service;

use std::time::Duration;

use serin_rollout::{Evidence, Notice, Phase, Plan, Routing, Schedule, ScheduleStep};
use serin_route::{KeySource, Rollout, Weight};

use controller::Controller;
pub use dice::Dice;
use events::{Event, Events};
use proxy::Proxy;
pub use service::Behaviour;

/// From a decision until the filters show it.
const PUSH_MS: u64 = 200;

/// What happens in a world.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The release's plan.
    pub plan: Plan,
    /// Requests per second, arriving at random.
    pub rate: f64,
    /// The share of requests that a user with a key makes.
    pub keyed: f64,
    /// Users with a key.
    pub users: u32,
    /// VMs, each with its own flush.
    pub vms: usize,
    /// Ready canary pods.
    pub pods: u32,
    /// Primary's behaviour.
    pub primary: Behaviour,
    /// The canary's.
    pub canary: Behaviour,
    /// What goes wrong around them.
    pub faults: Faults,
    /// The world ends after so many seconds.
    pub seconds: u64,
}

/// What goes wrong between the parts, by chance.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// A report is lost.
    pub lost: f64,
    /// A report arrives, but its answer is lost, so that it is repeated.
    pub unanswered: f64,
    /// A step's ledger and book are lost, as with a controller that dies.
    pub forgotten: f64,
}

/// How a release went. Times are seconds since the canary's first request.
#[derive(Clone, Debug)]
pub struct Course {
    /// The seed.
    pub seed: u64,
    /// The last phase.
    pub phase: Phase,
    /// Until the cut weight was shown by every VM.
    pub quarantined: Option<f64>,
    /// Until weight 0 was shown by every VM.
    pub rolled_back: Option<f64>,
    /// From the start of the world until it ended, one way or the other.
    pub ended: Option<f64>,
    /// Requests, and those that the canary failed.
    pub requests: u64,
    /// Failed by the canary.
    pub failed_by_canary: u64,
    /// All notices.
    pub notices: Vec<Notice>,
    /// Seconds and percent of every weight.
    pub weights: Vec<(f64, f64)>,
    /// A keyed user went back to primary while the weight only grew.
    pub moved_back: u64,
}

impl Scenario {
    /// Hundred requests per second, half of them keyed, ten percent on the canary for as long as it takes.
    pub fn usual() -> Self {
        Self {
            plan: plan(&[10], 600),
            rate: 100.0,
            keyed: 0.5,
            users: 200,
            vms: 3,
            pods: 2,
            primary: Behaviour::good(),
            canary: Behaviour::good(),
            faults: Faults::default(),
            seconds: 120,
        }
    }

    /// What `serin demo` does.
    pub fn demo() -> Self {
        let mut demo = plan(&[10, 25, 50], 15);
        demo.evidence.latency_warmup = Duration::ZERO;
        demo.evidence.objectives = vec![serin_rollout::Objective::ErrorRate(0.01)];
        demo.evidence.gate = serin_rollout::AdvanceGate::Pass;
        Self { plan: demo, rate: 200.0, keyed: 0.2, ..Self::usual() }
    }

    /// The same with another canary.
    #[must_use]
    pub fn with_canary(&self, canary: Behaviour) -> Self {
        Self { canary, ..self.clone() }
    }

    /// Lives through it.
    pub fn run(&self, seed: u64) -> Course {
        World::new(self, seed).run()
    }
}

/// A plan of weights in percent, each for at least `interval` seconds.
pub fn plan(percents: &[u8], interval: u64) -> Plan {
    let weight = |percent: &u8| ScheduleStep::SetWeight(Weight::from_percent(*percent));
    Plan {
        canary: "shop".into(),
        target: "shop".into(),
        name: "shop".into(),
        namespace: "prod".into(),
        schedule: Schedule::Steps(percents.iter().map(weight).collect()),
        interval: Duration::from_secs(interval),
        threshold: 5,
        checks: Vec::new(),
        hooks: Vec::new(),
        evidence: Evidence { latency_warmup: Duration::ZERO, ..Evidence::default() },
        routing: Routing {
            keys: vec![KeySource::Header("x-user".into())],
            edges_ms: edges(),
            ..Routing::default()
        },
        skip_analysis: false,
    }
}

/// Half octaves from 1 ms to 65 s.
fn edges() -> Vec<u32> {
    let mut edges: Vec<u32> = (0..=32).map(|half| half_octave(f64::from(half) / 2.0)).collect();
    edges.dedup();
    edges
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 65 536")]
fn half_octave(octaves: f64) -> u32 {
    octaves.exp2().round() as u32
}

/// The world as it goes on.
struct World<'s> {
    scenario: &'s Scenario,
    dice: Dice,
    events: Events,
    proxies: Vec<Proxy>,
    controller: Controller<'s>,
    course: Course,
    first_canary_ms: Option<u64>,
    wakes: u64,
    /// When the canary's weight, or its being suspected, last changed.
    decided_ms: u64,
}

impl<'s> World<'s> {
    fn new(scenario: &'s Scenario, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let mut events = Events::default();
        let proxies = (0..scenario.vms).map(|index| Proxy::new(index, &mut dice)).collect();
        for vm in 0..scenario.vms {
            events.push(dice.below(1000), Event::Flush { vm });
        }
        events.push(0, Event::Step { number: 0 });
        events.push(0, Event::Arrival);
        let course = Course {
            seed,
            phase: Phase::Initializing,
            quarantined: None,
            rolled_back: None,
            ended: None,
            requests: 0,
            failed_by_canary: 0,
            notices: Vec::new(),
            weights: Vec::new(),
            moved_back: 0,
        };
        let controller = Controller::new(scenario);
        Self {
            scenario,
            dice,
            events,
            proxies,
            controller,
            course,
            first_canary_ms: None,
            wakes: 0,
            decided_ms: 0,
        }
    }

    fn run(mut self) -> Course {
        while let Some((now_ms, event)) = self.events.pop() {
            if now_ms > self.scenario.seconds * 1000 || self.is_done() {
                break;
            }
            match event {
                Event::Arrival => self.arrive(now_ms),
                Event::Completion { vm, request } => self.proxies[vm].complete(request, now_ms),
                Event::Flush { vm } => {
                    self.events.push(now_ms + 1000, Event::Flush { vm });
                    self.report(vm, now_ms);
                }
                Event::Push { entries } => self.show(&entries, now_ms),
                Event::Step { number } if number == self.wakes => self.step(now_ms),
                Event::Step { .. } => {}
            }
        }
        self.course.phase = self.controller.phase();
        self.course.moved_back = self.proxies.iter().map(Proxy::moved_back).sum();
        self.course.notices = self.controller.take_notices();
        self.course
    }

    fn is_done(&self) -> bool {
        self.course.ended.is_some() && self.controller.is_settled()
    }

    fn arrive(&mut self, now_ms: u64) {
        let gap = self.dice.gap_ms(self.scenario.rate);
        self.events.push(now_ms + gap, Event::Arrival);
        let vm = self.dice.index(self.proxies.len());
        let user = self
            .dice
            .chance(self.scenario.keyed)
            .then(|| u32::try_from(self.dice.below(u64::from(self.scenario.users))).unwrap_or(0));
        let Some(canary) = self.proxies[vm].steer(user, &mut self.dice) else { return };
        let behaviour = if canary { &self.scenario.canary } else { &self.scenario.primary };
        let (failed, latency_ms) = behaviour.serve(user, &mut self.dice);
        self.course.requests += 1;
        if canary {
            self.first_canary_ms = self.first_canary_ms.or(Some(now_ms));
            self.course.failed_by_canary += u64::from(failed);
        }
        let request = self.proxies[vm].open(failed, now_ms);
        self.events.push(now_ms + latency_ms, Event::Completion { vm, request });
    }

    fn report(&mut self, vm: usize, now_ms: u64) {
        let faults = self.scenario.faults;
        let report = self.proxies[vm].report(now_ms);
        if self.dice.chance(faults.lost) {
            return;
        }
        self.controller.receive(&report, now_ms);
        if !self.dice.chance(faults.unanswered) {
            self.proxies[vm].answered(report.sequence);
        }
        self.step(now_ms);
    }

    fn show(&mut self, entries: &[Rollout], now_ms: u64) {
        for vm in 0..self.proxies.len() {
            self.proxies[vm].load(entries);
            // A new table is reported at once.
            self.report(vm, now_ms);
        }
    }

    fn step(&mut self, now_ms: u64) {
        if self.dice.chance(self.scenario.faults.forgotten) {
            self.controller.forget();
        }
        let before = (self.controller.percent(), self.controller.is_quarantined());
        let decided = self.controller.step(now_ms, &mut self.dice);
        if before != (self.controller.percent(), self.controller.is_quarantined()) {
            self.decided_ms = now_ms;
        }
        // Whatever made it look sooner has replaced the last alarm.
        self.wakes += 1;
        self.events.push(now_ms + decided.wake_ms, Event::Step { number: self.wakes });
        if let Some(entries) = decided.push {
            self.events.push(now_ms + PUSH_MS, Event::Push { entries });
        }
        self.chronicle(now_ms);
    }

    /// Notes what the controller's status says by now.
    fn chronicle(&mut self, now_ms: u64) {
        let seconds = |ms: u64| Duration::from_millis(ms).as_secs_f64();
        let percent = self.controller.percent();
        if self.course.weights.last().is_none_or(|(_, last)| (last - percent).abs() > 1e-9) {
            self.course.weights.push((seconds(now_ms), percent));
        }
        let since_first = |ms: u64| seconds(ms.saturating_sub(self.first_canary_ms.unwrap_or(ms)));
        let shown_ms = self.controller.shown_ms().map(|shown_ms| shown_ms.max(self.decided_ms));
        if self.controller.is_quarantined() && self.course.quarantined.is_none() {
            self.course.quarantined = shown_ms.map(since_first);
        }
        let phase = self.controller.phase();
        if matches!(phase, Phase::Failed | Phase::Succeeded) && self.course.ended.is_none() {
            self.course.ended = Some(seconds(now_ms));
        }
        if phase == Phase::Failed && self.course.rolled_back.is_none() {
            self.course.rolled_back = shown_ms.map(since_first);
        }
    }
}
