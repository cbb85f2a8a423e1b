//! The story of a release as the Canary's status tells it, moment by moment.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use kube::{Api, api::DynamicObject};
use serde_json::Value;
use tokio::{task::JoinHandle, time::sleep};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// Longer than any release of these tests takes on a busy machine.
const END_WITHIN: Duration = Duration::from_mins(4);

/// A Canary that is looked at for as long as this lives.
pub struct Story {
    seen: Arc<Mutex<Vec<Moment>>>,
    task: JoinHandle<()>,
}

/// What the status said since a time.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Since when, as seen from here.
    pub at: Instant,
    /// What.
    pub scene: Scene,
}

/// What a status says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scene {
    /// Flagger's word.
    pub phase: String,
    /// The canary's weight in percent.
    pub weight: f64,
    /// How far the run is.
    pub stage: String,
    /// The run's identity.
    pub run: String,
    /// Failed rounds.
    pub failed_checks: i64,
    /// Rounds done, in an A/B test.
    pub iterations: i64,
    /// The weight is cut on early evidence.
    pub quarantined: bool,
    /// Why the last decision was made.
    pub verdict: String,
    /// What is wrong with the Canary.
    pub problems: String,
}

impl Story {
    /// Begins to look.
    pub fn follow(canaries: Api<DynamicObject>, name: &str) -> Self {
        let (seen, name) = (Arc::new(Mutex::new(Vec::<Moment>::new())), name.to_owned());
        let pages = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            loop {
                // A controller or an API server that is away for a while is part of some tests.
                if let Ok(Some(canary)) = canaries.get_opt(&name).await {
                    let scene = Scene::of(&canary.data["status"]);
                    let mut pages = lock(&pages);
                    if pages.last().is_none_or(|last| last.scene != scene) {
                        pages.push(Moment { at: Instant::now(), scene });
                    }
                }
                sleep(LOOK).await;
            }
        });
        Self { seen, task }
    }

    /// Everything so far.
    pub fn all(&self) -> Vec<Moment> {
        lock(&self.seen).clone()
    }

    /// What the status says now.
    pub fn last(&self) -> Scene {
        lock(&self.seen).last().map(|it| it.scene.clone()).unwrap_or_default()
    }

    /// Waits for the first moment at or after `since` that is so; the error tells the story so far.
    pub async fn until(
        &self,
        what: &str,
        since: Instant,
        is: impl Fn(&Scene) -> bool,
    ) -> Result<Moment> {
        let began = Instant::now();
        loop {
            let found = self.all().into_iter().find(|it| it.at >= since && is(&it.scene));
            if let Some(found) = found {
                return Ok(found);
            }
            if began.elapsed() > END_WITHIN {
                bail!("waited {END_WITHIN:?} in vain: {what}\n{}", self.told(since));
            }
            sleep(LOOK).await;
        }
    }

    /// Waits until it is in this phase.
    pub async fn phase(&self, since: Instant, phase: &str) -> Result<Moment> {
        self.until(&format!("phase {phase}"), since, |scene| scene.phase == phase).await
    }

    /// Waits until the canary has this weight, in percent.
    pub async fn weight(&self, since: Instant, percent: f64) -> Result<Moment> {
        let is = |scene: &Scene| scene.weighs(percent);
        self.until(&format!("a weight of {percent} %"), since, is).await
    }

    /// Waits for the end of the run that began after `since`; an error if it ends in another phase than this.
    pub async fn ends(&self, since: Instant, phase: &str) -> Result<Moment> {
        let is_end = |scene: &Scene| ["Succeeded", "Failed"].contains(&&*scene.phase);
        let end = self.until("the end of the release", since, is_end).await?;
        if end.scene.phase != phase {
            bail!("it ended as {}, not {phase}\n{}", end.scene.phase, self.told(since));
        }
        Ok(end)
    }

    /// An error unless it stands still for so long, in this phase and at this weight in percent, where it is by now.
    pub async fn stands(&self, span: Duration, phase: &str, percent: f64) -> Result<()> {
        let since = Instant::now();
        sleep(span).await;
        let moved = self.all().into_iter().filter(|it| it.at >= since).map(|it| it.scene);
        let gone = moved.chain([self.last()]).find(|it| it.phase != phase || !it.weighs(percent));
        match gone {
            Some(scene) => bail!("it went on: {scene:?}\n{}", self.told(since)),
            None => Ok(()),
        }
    }

    /// The weights since then, each once in a row.
    pub fn weights(&self, since: Instant) -> Vec<f64> {
        let moments = self.all().into_iter().filter(|it| it.at >= since);
        let mut weights: Vec<_> = moments.map(|it| it.scene.weight).collect();
        weights.dedup();
        weights
    }

    /// The story since then, a line each.
    pub fn told(&self, since: Instant) -> String {
        let (mut text, mut verdict) = (String::new(), String::new());
        for Moment { at, scene } in self.all() {
            let Scene { phase, weight, stage, run, failed_checks, iterations, .. } = &scene;
            let Some(after) = at.checked_duration_since(since) else { continue };
            let _ =
                write!(text, "  {:6.1} s {phase:<16} {weight:5} % {stage:<9}", after.as_secs_f64());
            let _ =
                write!(text, " run {run}, {iterations} iterations, {failed_checks} failed checks");
            let quarantined = if scene.quarantined { ", quarantined" } else { "" };
            let _ = writeln!(text, "{quarantined} {}", scene.problems);
            if scene.verdict != verdict {
                let _ = writeln!(text, "           {}", scene.verdict);
                verdict = scene.verdict;
            }
        }
        text
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Scene {
    /// Weights are given in whole basis points.
    fn weighs(&self, percent: f64) -> bool {
        (self.weight - percent).abs() < 0.005
    }

    fn of(status: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let run = &status["serin"]["rollout"]["run"];
        let problems = status["serin"]["problems"].as_array().into_iter().flatten();
        Self {
            phase: text(&status["phase"]),
            weight: run["weight"].as_f64().unwrap_or_default() / 100.0,
            stage: text(&run["stage"]),
            run: text(&run["id"]),
            failed_checks: status["failedChecks"].as_i64().unwrap_or_default(),
            iterations: status["iterations"].as_i64().unwrap_or_default(),
            quarantined: !run["quarantine"].is_null(),
            verdict: text(&run["verdict"]["text"]),
            problems: problems.map(ToString::to_string).collect(),
        }
    }
}

fn lock(seen: &Mutex<Vec<Moment>>) -> MutexGuard<'_, Vec<Moment>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
