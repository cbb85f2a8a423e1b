//! `serin watch`: a release until its end, each thing that is told of it as a line.

use std::collections::BTreeSet;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::core::DynamicObject;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self as watching, Config, watcher};
use serin_api::canary::CanaryPhase;
use serin_rollout::Severity;
use tokio::time::{Instant, sleep_until};

use super::find::{self, Namespaces, One};
use super::view::View;
use super::{events, print};
use crate::clock::Clock;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::text::{bar, tame};
use crate::output::{Paint, aside};

/// How long a release that was only just set off is waited for.
const BEGINS_WITHIN: Duration = Duration::from_secs(5);
/// How long a change of the status waits for words about it.
const WORDS_WITHIN: Duration = Duration::from_millis(700);
/// Not over in time.
const NOT_OVER: u8 = 4;

/// Which, and for how long.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    one: One,
    /// Stop watching then, with 4; such as 90s or 10m.
    #[arg(long, value_name = "DURATION", value_parser = serin_api::parse_duration)]
    timeout: Option<Duration>,
}

/// Follows it.
pub(super) async fn watch(args: &Args) -> Result<ExitCode, Failure> {
    let cluster = args.one.access.cluster().await?;
    let first = View::of(find::read(args.one.find(&cluster).await?)?);
    let mut interrupt = Interrupt::new().map_err(Failure::environment)?;
    let of = Config::default().fields(&format!("metadata.name={}", first.canary.name()));
    let api = find::api(&cluster, first.canary.group, Namespaces::One);
    let mut objects = pin!(watcher(api, of).default_backoff());
    let of = Config::default().fields(&events::selector(&first.canary));
    let api = events::api(&cluster.client, &first.canary);
    let mut told = pin!(watcher(api, of).default_backoff().applied_objects());
    let mut follower = Follower::new(first, Clock::start());
    let end = args.timeout.map(|span| Instant::now() + span);
    loop {
        let ending = tokio::select! {
            biased;
            () = interrupt.next() => return Err(Failure::interrupted()),
            Some(event) = told.next() => { follower.told(event.ok().as_ref()); None }
            Some(event) = objects.next() => follower.changed(event)?,
            () = until(follower.next_look()) => follower.look(),
            () = until(end) => return Ok(follower.not_over()),
        };
        if let Some(ending) = ending {
            // What is told of the end comes after it.
            let _ = tokio::time::timeout(WORDS_WITHIN, async {
                while let Ok(Some(event)) = told.try_next().await {
                    follower.told(Some(&event));
                }
            })
            .await;
            return Ok(follower.concluded(ending));
        }
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Promoted,
    RolledBack,
}

struct Follower {
    view: View,
    clock: Clock,
    paint: Paint,
    /// Whether a release is under way; until when one is waited for otherwise.
    under_way: bool,
    patience: Instant,
    /// What is older belongs to another release.
    since: Timestamp,
    /// Events that were told: each is seen again when it is counted up.
    said: BTreeSet<String>,
    /// The phase and weight that were shown last, and when another is shown without words.
    shown: (String, String),
    show_at: Option<Instant>,
}

impl Follower {
    fn new(view: View, clock: Clock) -> Self {
        let under_way = is_under_way(&view);
        let began = view.live().map(|run| run.started);
        let follower = Self {
            under_way,
            patience: Instant::now() + BEGINS_WITHIN,
            since: began.unwrap_or_else(|| clock.now()),
            paint: Paint::of(&std::io::stdout()),
            said: BTreeSet::new(),
            shown: Default::default(),
            show_at: None,
            view,
            clock,
        };
        if !under_way {
            aside("no release is under way; waiting for one that may just begin …");
        }
        follower
    }

    fn told(&mut self, event: Option<&Event>) {
        let Some(event) = event.filter(|it| events::at(it) >= self.since) else { return };
        let count = event.series.as_ref().and_then(|series| series.count);
        let name = event.metadata.name.clone().unwrap_or_default();
        if self.said.insert(format!("{name} {count:?}")) {
            let severity = if events::warns(event) { Severity::Warn } else { Severity::Info };
            self.line(events::at(event), severity, &tame(events::text(event)));
        }
    }

    fn changed(
        &mut self,
        event: watching::Result<watching::Event<DynamicObject>>,
    ) -> Result<Option<Ending>, Failure> {
        let object = match event {
            Ok(watching::Event::Apply(object) | watching::Event::InitApply(object)) => object,
            Ok(watching::Event::Delete(_)) => {
                return Err(Failure::environment("the Canary was deleted"));
            }
            // Taken up again by itself; a person who sees nothing may stop it.
            Err(error) => {
                aside(format_args!("hint: the watch broke off and is taken up again: {error}"));
                return Ok(None);
            }
            Ok(_) => return Ok(None),
        };
        self.view = View::of(find::read(object)?);
        if !self.under_way && is_under_way(&self.view) {
            self.under_way = true;
        }
        if self.standing() != self.shown {
            self.show_at = Some(Instant::now() + WORDS_WITHIN);
        }
        Ok(self.under_way.then(|| self.ending()).flatten())
    }

    fn next_look(&self) -> Option<Instant> {
        self.show_at.into_iter().chain((!self.under_way).then_some(self.patience)).min()
    }

    /// Nothing has happened for a while.
    fn look(&mut self) -> Option<Ending> {
        if self.show_at.is_some_and(|at| at <= Instant::now()) {
            self.show_at = None;
            let words = self.words();
            self.line(self.clock.now(), Severity::Info, &words);
        }
        if self.under_way || Instant::now() < self.patience {
            return None;
        }
        self.ending()
    }

    fn words(&self) -> String {
        let verdict = self.view.run().and_then(|run| run.verdict.as_ref());
        let held = self.view.verdict();
        match verdict {
            Some(verdict) => tame(&verdict.text),
            None if held == "-" => String::new(),
            None => held,
        }
    }

    fn ending(&self) -> Option<Ending> {
        match self.view.canary.status.as_ref()?.phase {
            CanaryPhase::Succeeded | CanaryPhase::Initialized => Some(Ending::Promoted),
            CanaryPhase::Failed => Some(Ending::RolledBack),
            _ => None,
        }
    }

    fn standing(&self) -> (String, String) {
        (self.view.phase().to_owned(), self.view.weight().to_string())
    }

    fn line(&mut self, at: Timestamp, severity: Severity, text: &str) {
        self.shown = self.standing();
        self.show_at = None;
        let time = at.strftime("%H:%M:%S");
        let (phase, weight) = &self.shown;
        let bar = bar(self.view.weight());
        let mark = if severity == Severity::Info { "" } else { "! " };
        let text = self.paint.severity(severity, &format!("{mark}{text}"));
        print(format!("{time}Z  {phase:<16} {bar} {weight:>6} {text}").trim_end());
        print("\n");
    }

    fn concluded(&self, ending: Ending) -> ExitCode {
        let (name, namespace) = (self.view.canary.name(), self.view.canary.namespace());
        match ending {
            Ending::Promoted => {
                print(&self.paint.good(&format!("canary {name}.{namespace} is promoted")));
                print("\n");
                ExitCode::SUCCESS
            }
            Ending::RolledBack => {
                let text = format!("canary {name}.{namespace} is rolled back");
                print(&self.paint.severity(Severity::Error, &text));
                print("\n");
                aside(format_args!("why: serin describe {name} -n {namespace}"));
                ExitCode::FAILURE
            }
        }
    }

    fn not_over(&self) -> ExitCode {
        let (phase, weight) = self.standing();
        aside(format_args!("serin: not over in time: {phase} at {weight}; it goes on"));
        ExitCode::from(NOT_OVER)
    }
}

/// Whether an end is still to come.
fn is_under_way(view: &View) -> bool {
    let phase = view.canary.status.as_ref().map_or(CanaryPhase::Unset, |status| status.phase);
    !matches!(phase, CanaryPhase::Succeeded | CanaryPhase::Initialized | CanaryPhase::Failed)
}

#[cfg(test)]
mod tests {
    use serin_rollout::{Phase, Status};

    use super::super::view::fixture::{progressing, view};
    use super::*;

    fn changed(follower: &mut Follower, phase: Phase) -> Option<Ending> {
        let canary = view(&Status { phase, ..progressing() }).canary;
        let object = serde_json::from_value(serde_json::to_value(canary).unwrap()).unwrap();
        follower.changed(Ok(watching::Event::Apply(object))).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_release_under_way_ends_with_its_phase() {
        for (phase, ending) in
            [(Phase::Succeeded, Ending::Promoted), (Phase::Failed, Ending::RolledBack)]
        {
            let mut follower = Follower::new(view(&progressing()), Clock::start());
            assert_eq!(changed(&mut follower, Phase::Promoting), None);
            assert_eq!(changed(&mut follower, phase), Some(ending));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_one_may_just_begin_and_else_tells_its_last_end() {
        let idle = || view(&Status { phase: Phase::Failed, ..progressing() });
        let mut follower = Follower::new(idle(), Clock::start());
        assert_eq!((changed(&mut follower, Phase::Failed), follower.look()), (None, None));
        assert_eq!(changed(&mut follower, Phase::Progressing), None);
        assert_eq!(changed(&mut follower, Phase::Succeeded), Some(Ending::Promoted));

        let mut follower = Follower::new(idle(), Clock::start());
        tokio::time::advance(BEGINS_WITHIN).await;
        assert_eq!(follower.look(), Some(Ending::RolledBack));
    }
}
