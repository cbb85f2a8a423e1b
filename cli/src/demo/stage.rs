//! The demo at work: versions, Envoy and load, and one release after the other on them.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use jiff::Timestamp;
use serin_rollout::{Intent, NoticeKind, Plan};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::Scenario;
use super::app::{Fault, Version};
use super::load::{Counts, Load};
use super::summary::{Moments, Summary};
use crate::clock::Clock;
use crate::failure::Failure;
use crate::local::{Ending, Engine, Outcome, Release, Setup, World};
use crate::output::{Format, Paint, Sink, printer};
use crate::recording::Recording;
use crate::tools::{self, Found};

/// Everything that runs.
pub(crate) struct Stage {
    plan: Plan,
    canary_yaml: &'static str,
    seed: u64,
    load: Load,
    world: World,
    /// The version that serves; the last one promoted.
    primary: Version,
    /// Versions that no longer serve. Their connections stay open until Envoy is gone.
    retired: Vec<Version>,
}

/// A release that was played.
pub(crate) struct Act {
    scenario: Scenario,
    pub(crate) summary: Summary,
    pub(crate) recording: Recording,
    counts: Counts,
}

/// The names of versions, in order of appearance; the first is there at the beginning.
const VERSIONS: [&str; 6] = ["v1", "v2", "v3", "v4", "v5", "v6"];
/// A release takes a minute at most; one that is still undecided after this is aborted, so that the demo ends.
const RELEASE_MAX: Duration = Duration::from_secs(90);
/// After an abort.
const ABORT_MAX: Duration = Duration::from_secs(30);
/// Before the first release, so that every connection is there.
const WARM_UP_REQUESTS: u64 = 100;
const WARM_UP_MAX: Duration = Duration::from_secs(10);

impl Stage {
    /// Starts the old version, Envoy and the load.
    pub(crate) async fn set(
        found: &Found,
        canary_yaml: &'static str,
        rps: f64,
        seed: u64,
    ) -> Result<Self, Failure> {
        let plan = plan(canary_yaml)?;
        let guard = tools::guard();
        let primary = start(VERSIONS[0], Fault::None, seed).await?;
        let world = World::start(&Setup {
            envoy: &found.envoy.path,
            module: &found.module,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            guard: guard.as_deref(),
            name: &plan.name,
            namespace: &plan.namespace,
            primary: primary.addresses(),
            clock: Clock::start(),
        })
        .await
        .map_err(Failure::environment)?;
        let load = Load::start(world.address(), rps, seed);
        if timeout(WARM_UP_MAX, load.answered(WARM_UP_REQUESTS)).await.is_err() {
            return Err(Failure::environment("Envoy is up, and answers too few requests"));
        }
        Ok(Self { plan, canary_yaml, seed, load, world, primary, retired: Vec::new() })
    }

    /// Where requests come in.
    pub(crate) fn address(&self) -> SocketAddr {
        self.world.address()
    }

    /// Releases a new version; `number` counts from 1.
    pub(crate) async fn play(
        &mut self,
        scenario: Scenario,
        number: usize,
        output: Format,
    ) -> Result<Act, Failure> {
        let too_many = || Failure::usage(format!("at most {} releases", VERSIONS.len() - 1));
        let name = VERSIONS.get(number).copied().ok_or_else(too_many)?;
        let seed = self.seed.wrapping_add(number as u64);
        let version = start(name, scenario.fault(), seed).await?;
        let title = format!("{}: {name} replaces {}", scenario.name(), self.primary.name());
        if output == Format::Text {
            let heading = format!("{title}; {}", scenario.words());
            println!("\n{}\n", Paint::of(&std::io::stdout()).bold(&heading));
        }
        let mut recording = Recording::new(&title, self.canary_yaml, &self.plan);
        let release = self.release(&version);
        let outcome = self.carry_out(&release, &mut recording, output).await?;
        let counts = self.load.end_period().await;
        let act = act(scenario, &version, self.world.clock(), outcome.as_ref(), recording, counts);
        let promoted = outcome.is_some_and(|it| it.ending == Ending::Promoted);
        let retired =
            if promoted { std::mem::replace(&mut self.primary, version) } else { version };
        self.retired.push(retired);
        Ok(act)
    }

    /// Lets all requests be answered, then stops Envoy, then the versions behind it.
    pub(crate) async fn clear(self) {
        let Self { load, world, primary, retired, .. } = self;
        load.stop().await;
        world.stop().await;
        drop((primary, retired));
    }

    fn release(&self, version: &Version) -> Release {
        Release {
            plan: self.plan.clone(),
            revision: version.name().to_owned(),
            primary_revision: self.primary.name().to_owned(),
            primary: self.primary.addresses().to_vec(),
            canary: version.addresses().to_vec(),
        }
    }

    /// None if the release came to no end.
    async fn carry_out(
        &mut self,
        release: &Release,
        recording: &mut Recording,
        output: Format,
    ) -> Result<Option<Outcome>, Failure> {
        let mut printer = printer(output);
        let mut sinks: [&mut dyn Sink; 2] = [printer.as_mut(), recording];
        let (intend, mut intents) = mpsc::channel(1);
        let too_long = async {
            sleep(RELEASE_MAX).await;
            let _ = intend.send(Intent::Abort).await;
            sleep(ABORT_MAX).await;
        };
        tokio::select! {
            outcome = Engine::run(release, None, &mut self.world, &mut sinks, &mut intents) => {
                outcome.map(Some).map_err(Failure::environment)
            }
            () = too_long => Ok(None),
        }
    }
}

impl Act {
    /// It had to be aborted: whatever the reason, the next one would meet it too.
    pub(crate) fn is_stuck(&self) -> bool {
        self.recording.duration_s() >= RELEASE_MAX.as_secs_f64()
    }

    /// What went otherwise than it should.
    pub(crate) fn wrong(&self) -> Option<String> {
        let name = self.scenario.name();
        let expected = self.scenario.expected();
        if self.is_stuck() {
            return Some(format!("{name}: undecided for {} s, given up", RELEASE_MAX.as_secs()));
        }
        if self.summary.outcome != Some(expected) {
            return Some(format!(
                "{name}: should have been {expected:?}, was {:?}",
                self.summary.outcome
            ));
        }
        (self.counts.failed_otherwise > 0).then(|| {
            format!("{name}: requests failed that the app did not fail: {:?}", self.counts.reasons)
        })
    }
}

/// What the Canary means, by the same way as a user's file.
pub(crate) fn plan(canary_yaml: &str) -> Result<Plan, Failure> {
    crate::local::input::plan(canary_yaml).map_err(Failure::usage)
}

async fn start(name: &'static str, fault: Fault, seed: u64) -> Result<Version, Failure> {
    Version::start(name, fault, seed).await.map_err(Failure::environment)
}

fn act(
    scenario: Scenario,
    version: &Version,
    clock: Clock,
    outcome: Option<&Outcome>,
    mut recording: Recording,
    counts: Counts,
) -> Act {
    let first_request = version.first_request().map(|moment| clock.at(moment));
    let moments = moments(first_request, outcome, &recording);
    let ending = outcome.map(|it| it.ending);
    let summary = Summary::new(scenario.name(), ending, moments, &counts);
    let versions: Vec<String> =
        counts.versions.iter().map(|(version, count)| format!("{version} {count}")).collect();
    recording.fact("Answered by", versions.join(", "));
    let (requests, faults) = version.served();
    let own = format!("{requests} requests, {faults} failed on purpose");
    recording.fact(&format!("{} itself counted", version.name()), own);
    let failed =
        format!("{} by the app, {} otherwise", counts.failed_by_app, counts.failed_otherwise);
    recording.fact("Failed, as callers saw it", failed);
    let in_force = [
        ("quarantined", summary.seconds_to_quarantine),
        ("rolled back", summary.seconds_to_rollback),
    ];
    let told: Vec<String> = in_force
        .into_iter()
        .filter_map(|(what, seconds)| Some(format!("{what} {:.1} s", seconds?)))
        .collect();
    if !told.is_empty() {
        recording.fact("In force, from the canary’s first request", told.join(", "));
    }
    Act { scenario, summary, recording, counts }
}

fn moments(
    first_request: Option<Timestamp>,
    outcome: Option<&Outcome>,
    recording: &Recording,
) -> Moments {
    // A quarantine that leaves the weight as it is brings no generation of its own to wait for.
    let decided = recording.first(NoticeKind::Quarantined).map(|notice| notice.at);
    Moments {
        first_request,
        quarantined: outcome.and_then(|it| it.quarantine_in_force).max(decided),
        rolled_back: outcome
            .filter(|it| it.ending == Ending::RolledBack)
            .and_then(|it| it.end_in_force),
    }
}
