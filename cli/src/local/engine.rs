//! The loop: six lines each time something was seen, and the waiting in between.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serin_probe::{Access, Events, Network, NetworkError, Prober, Question};
use serin_rollout::{Answer, Book, Intent, Ledger, Probe, Severity, Status, step};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::apply::Applied;
use super::health::{Health, Vitals};
use super::outcome::Times;
use super::readiness::Watch;
use super::state::Kept;
use super::{Outcome, Release, StateFile, World, observe};
use crate::envoy::ProcessError;
use crate::output::Sink;
use serin_receiver::Arrival;

/// All VMs report within this time of each other: one step for all of them.
const BURST: Duration = Duration::from_millis(20);
/// A step that wants to look again at once still lets others run.
const WAKE_MIN: Duration = Duration::from_millis(5);
/// Until a status that could not be written is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// For event hooks at the end.
const EVENTS_GRACE: Duration = Duration::from_secs(2);

/// Carries out one release in a world.
pub struct Engine<'a> {
    pub(super) release: &'a Release,
    pub(super) world: &'a mut World,
    pub(super) sinks: &'a mut [&'a mut dyn Sink],
    pub(super) status: Status,
    /// Where the status is kept, if anywhere.
    pub(super) state: Option<StateFile>,
    /// Why the file lags behind the status.
    pub(super) unsaved: Option<String>,
    pub(super) ledger: Ledger,
    pub(super) book: Book,
    pub(super) readiness: Watch,
    pub(super) network: Network,
    pub(super) prober: Prober,
    pub(super) events: Events,
    pub(super) answers: Vec<Answer>,
    pub(super) intents: VecDeque<Intent>,
    pub(super) applied: Option<Applied>,
    /// When Envoy was last told anything.
    pub(super) told_at: Timestamp,
    pub(super) revivals: usize,
    /// A report has come.
    pub(super) heard_any: bool,
    pub(super) warned: BTreeSet<String>,
    pub(super) times: Times,
    pub(super) started: Timestamp,
    /// Requests that had come in when the release began.
    pub(super) requests_before: Option<u64>,
    health: Health,
}

/// Why a release could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Envoy is gone.
    #[error(transparent)]
    Envoy(#[from] ProcessError),
    /// Somebody removed the run's files.
    #[error(
        "{0} is gone, removed by somebody: Envoy can be told nothing any more and is stopped; \
         let no cleaner of temporary files remove it, or name another place with TMPDIR"
    )]
    Lost(PathBuf),
    /// Nothing can be asked.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// No run can have an identity.
    #[error("the system gives no randomness: {0}")]
    Randomness(#[from] io::Error),
}

/// What ended a wait.
enum Event {
    Report(Arrival),
    Answer(Answer),
    Intent(Intent),
    Readiness,
    Health(Vitals),
    Wake,
    EnvoyEnded(ProcessError),
}

impl<'a> Engine<'a> {
    /// Carries out a release, or carries it on from the status that was kept. It may be dropped at any moment; the
    /// status that was committed is where it stands.
    pub async fn run(
        release: &'a Release,
        kept: Option<Kept>,
        world: &'a mut World,
        sinks: &'a mut [&'a mut dyn Sink],
        intents: &mut mpsc::Receiver<Intent>,
    ) -> Result<Outcome, EngineError> {
        let mut engine = Self::new(release, kept, world, sinks).await?;
        loop {
            let wake = engine.turn()?;
            if engine.world.is_lost() {
                return Err(EngineError::Lost(engine.world.directory().to_owned()));
            }
            let now = engine.world.clock().now();
            if let Some(outcome) = engine.outcome(now) {
                engine.events.finish(EVENTS_GRACE).await;
                return Ok(outcome);
            }
            engine.wait(wake, intents).await?;
        }
    }

    async fn new(
        release: &'a Release,
        kept: Option<Kept>,
        world: &'a mut World,
        sinks: &'a mut [&'a mut dyn Sink],
    ) -> Result<Self, EngineError> {
        let now = world.clock().now();
        let (state, unfinished) =
            kept.map_or((None, None), |kept| (Some(kept.file), kept.unfinished));
        let status = unfinished.unwrap_or_else(|| observe::fresh(&release.primary_revision));
        let requests_before = Vitals::ask(world.envoy.admin()).await.requests;
        let health = Health::watch(world.envoy.admin());
        let network = Network::new()?;
        Ok(Self {
            status,
            state,
            unsaved: None,
            ledger: Ledger::default(),
            book: Book::new(&release.plan.name, &release.plan.namespace, ""),
            readiness: Watch::start(&release.primary, &release.canary).await,
            prober: Prober::default(),
            events: Events::new(&network),
            network,
            answers: Vec::new(),
            intents: VecDeque::new(),
            applied: None,
            told_at: now,
            revivals: world.shown().revivals,
            heard_any: false,
            warned: BTreeSet::new(),
            times: Times::default(),
            started: now,
            requests_before,
            health,
            release,
            world,
            sinks,
        })
    }

    /// One turn of `observe → plan → step → commit → apply → announce`; says when to look again at the latest.
    fn turn(&mut self) -> Result<Duration, EngineError> {
        let now = self.world.clock().now();
        let seen = self.observe(now)?;
        let plan = &self.release.plan;
        let step = step(plan, &self.status, self.ledger.clone(), &seen, now);
        if !self.commit(step.status, now) {
            // As if it had not been looked yet.
            self.answers.extend(seen.answers);
            self.intents.extend(seen.intent);
            self.apply(now);
            self.announce(now, &[], &seen.traffic, None);
            return Ok(RETRY);
        }
        self.apply(now);
        self.announce(now, &step.notices, &seen.traffic, step.verdict.as_ref());

        self.ledger = step.ledger;
        self.times.note(&self.status, &step.notices);
        self.follow_run();
        for probe in &step.wants {
            self.ask(probe);
        }
        Ok(step.wake)
    }

    fn ask(&mut self, probe: &Probe) {
        let question = Question::of(&self.release.plan, &self.release.revision, probe);
        let network = self.network.clone();
        self.prober.ask(probe, async move {
            let question = question.ok_or("the plan has no such check or hook")?;
            question.ask(&network, &Access::default()).await
        });
    }

    /// A new run has a book of its own.
    fn follow_run(&mut self) {
        let run = self.status.run.as_ref().map_or("", |run| &run.id);
        if self.book.run() != run {
            self.book = Book::new(&self.release.plan.name, &self.release.plan.namespace, run);
        }
    }

    /// Waits until there is something to look at, for `wake` at most, and takes it in.
    async fn wait(
        &mut self,
        wake: Duration,
        intents: &mut mpsc::Receiver<Intent>,
    ) -> Result<(), EngineError> {
        let until = Instant::now() + wake.max(WAKE_MIN);
        loop {
            match self.event(until, intents).await {
                Event::Report(arrival) => self.take_reports(arrival).await,
                Event::Answer(answer) => self.answers.push(answer),
                Event::Intent(intent) => {
                    let now = self.world.clock().now();
                    let word = format!("{intent:?}").to_lowercase();
                    self.remark(now, Severity::Info, format!("{word}: asked for by a person"));
                    self.intents.push_back(intent);
                }
                Event::Health(vitals) => {
                    self.look_after_envoy(vitals);
                    continue;
                }
                Event::Readiness | Event::Wake => {}
                Event::EnvoyEnded(error) => return Err(error.into()),
            }
            return Ok(());
        }
    }

    async fn event(&mut self, until: Instant, intents: &mut mpsc::Receiver<Intent>) -> Event {
        let World { envoy, receiver, .. } = &mut *self.world;
        tokio::select! {
            error = envoy.ended() => Event::EnvoyEnded(error),
            Some(arrival) = receiver.next() => Event::Report(arrival),
            answer = self.prober.next() => Event::Answer(answer),
            Some(intent) = intents.recv() => Event::Intent(intent),
            () = self.readiness.changed() => Event::Readiness,
            () = sleep_until(until) => Event::Wake,
            Some(vitals) = self.health.next() => Event::Health(vitals),
        }
    }

    /// Takes in a report, and those that arrive with it.
    async fn take_reports(&mut self, first: Arrival) {
        let until = Instant::now() + BURST;
        let mut next = Some(first);
        while let Some(arrival) = next {
            self.heard_any = true;
            let at = self.world.clock().at(arrival.at);
            if let Some(problem) = &arrival.report.problem {
                let text = format!("Envoy's filter refused its configuration: {problem}");
                self.warn_once(at, text);
            }
            // A report of a former run, or one that was overtaken, has nothing to say.
            let _ = self.book.enter(&arrival.report, at);
            next = timeout_at(until, self.world.receiver.next()).await.ok().flatten();
        }
    }
}
