//! From what was seen to what is done: the call of [`serin_rollout::step()`], and the objects that follow from it.
//! Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Deserialize as _;
use serde_json::Value;
use serin_api::canary::{CanaryStatus, StatusScope};
use serin_api::release::Target;
use serin_api::{Canary, Release, keys};
use serin_rollout::{
    Desired, Intent, Projection, Readiness, Seen, Stage, Status, Step, Workloads, desired, step,
};

use crate::context::Memory;
use crate::feed::Heard;
use crate::objects::{Facts, Objects, Observed, ProjectionError, objects, primary_revision};
use crate::observe::Observation;
use crate::readiness::{readiness, ready_pods};

/// What is done.
pub(crate) struct Decision {
    /// What `step` says.
    pub(crate) step: Step,
    /// Its status as the Canary's.
    pub(crate) status: CanaryStatus,
    /// What the cluster should look like.
    pub(crate) wanted: Desired,
    /// All of it, object by object.
    pub(crate) objects: Objects,
    /// What a person should know as long as it is so.
    pub(crate) lines: BTreeSet<String>,
}

/// Chance, time and what was heard, which no decision makes for itself.
pub(crate) struct Circumstances {
    pub(crate) dice: [u8; 32],
    pub(crate) now: Timestamp,
    /// From the filters.
    pub(crate) heard: Heard,
}

/// Decides.
pub(crate) fn decide(
    canary: &Canary,
    release: &Release,
    status: &Status,
    memory: &Memory,
    seen: &Observation,
    circumstances: Circumstances,
) -> Result<Decision, ProjectionError> {
    let Circumstances { dice, now, heard } = circumstances;
    let (plan, before) = (&release.plan, desired(&release.plan, status));
    let view = seen.at(before.primary_revision.as_deref());
    let projection = Projection {
        applied: memory.applied.as_ref() == Some(&before),
        acknowledged: heard.acknowledged,
    };
    let workloads = workloads(release, &view, now);
    let (intent, revision, traffic) = (intent(canary), view.revision, heard.traffic);
    let answers = memory.asked.answers().to_vec();
    let seen_by_step = Seen { dice, intent, revision, workloads, projection, traffic, answers };
    let step = step(plan, status, memory.ledger.clone(), &seen_by_step, now);

    let wanted = desired(plan, &step.status);
    let facts = Facts::of(canary, release, seen.callers.clone());
    let view = seen.at(wanted.primary_revision.as_deref());
    let objects = objects(&facts, &wanted, &view)?;
    let mut lines: BTreeSet<String> = objects.gaps.iter().map(ToString::to_string).collect();
    lines.extend(seen.missing_gateways.iter().map(|it| format!("Gateway {it} does not exist")));
    lines.extend(heard.lines);
    lines.extend(no_intent(canary));
    let mut next = canary.status.clone().unwrap_or_default();
    next.record(&step.status, Target::KIND, now);
    show(&mut next, canary.status.as_ref(), &step.status, heard.reporting);
    Ok(Decision { step, status: next, wanted, objects, lines })
}

/// Shows who reports while a run is in the filters' tables. That there are more or fewer is not worth a write of its
/// own; that there is somebody, or nobody any more, is.
fn show(
    next: &mut CanaryStatus,
    before: Option<&CanaryStatus>,
    status: &Status,
    reporting: BTreeMap<String, usize>,
) {
    let tabled = status.run.as_ref().is_some_and(|run| run.stage != Stage::Settled);
    let scopes = reporting.into_iter().filter(|_| tabled).map(|(name, proxies)| StatusScope {
        name,
        reporting: i64::try_from(proxies).unwrap_or(i64::MAX),
    });
    let Some(serin) = &mut next.serin else { return };
    let shown = std::mem::replace(&mut serin.scopes, scopes.collect());
    let gist = |scopes: &[StatusScope]| -> Vec<_> {
        scopes.iter().map(|it| (it.name.clone(), it.reporting > 0)).collect()
    };
    if gist(&shown) != gist(&serin.scopes) {
        return;
    }
    let newest = std::mem::replace(&mut serin.scopes, shown);
    if before != Some(&*next)
        && let Some(serin) = &mut next.serin
    {
        serin.scopes = newest;
    }
}

/// What a person wants. What is no intent is told; the annotation goes all the same, and the release goes on.
fn intent(canary: &Canary) -> Option<Intent> {
    read(said(canary)?)
}

fn no_intent(canary: &Canary) -> Option<String> {
    let word = said(canary).filter(|word| read(word).is_none())?;
    let words = "pause, resume, abort, promote or retry";
    Some(format!("annotation {} must be {words}, not {word:?}", keys::INTENT))
}

fn said(canary: &Canary) -> Option<&str> {
    canary.metadata.annotations.as_ref()?.get(keys::INTENT).map(String::as_str)
}

fn read(word: &str) -> Option<Intent> {
    Intent::deserialize(Value::from(word)).ok()
}

fn workloads(release: &Release, seen: &Observed, now: Timestamp) -> Workloads {
    let target = &release.target;
    let of = |workload, percent| readiness(workload, percent, target.progress_deadline, now);
    let primary = seen.primary.as_ref().map(|it| of(it, target.primary_ready)).unwrap_or_default();
    let runs = primary_revision(seen).filter(|_| primary == Readiness::Ready);
    Workloads {
        primary,
        primary_revision: runs.unwrap_or_default(),
        canary: of(&seen.target, target.canary_ready),
        canary_pods: ready_pods(&seen.target),
    }
}

#[cfg(test)]
mod tests {
    use serin_rollout::Run;

    use super::*;

    fn status(stage: Stage) -> Status {
        Status { run: Some(Run { stage, ..Run::default() }), ..Status::default() }
    }

    /// The next status with these proxies, after `before`.
    fn shown(before: &CanaryStatus, status: &Status, proxies: &[(&str, usize)]) -> CanaryStatus {
        let mut next = before.clone();
        next.record(status, Target::KIND, Timestamp::UNIX_EPOCH);
        let reporting = proxies.iter().map(|(name, count)| ((*name).to_owned(), *count));
        show(&mut next, Some(before), status, reporting.collect());
        next
    }

    fn scopes(status: &CanaryStatus) -> Vec<(&str, i64)> {
        let scopes = status.serin.iter().flat_map(|it| &it.scopes);
        scopes.map(|it| (it.name.as_str(), it.reporting)).collect()
    }

    #[test]
    fn more_or_fewer_proxies_alone_are_no_write() {
        let analysing = status(Stage::Analysing);
        let none = shown(&CanaryStatus::default(), &analysing, &[("mesh", 0)]);
        assert_eq!(scopes(&none), [("mesh", 0)]);
        let two = shown(&none, &analysing, &[("mesh", 2)]);
        assert_eq!(scopes(&two), [("mesh", 2)], "the first to report are worth one");
        let three = shown(&two, &analysing, &[("mesh", 3)]);
        assert_eq!(three, two);
        let ending = shown(&two, &status(Stage::Ending), &[("mesh", 3)]);
        assert_eq!(scopes(&ending), [("mesh", 3)], "it is written anyway");
        assert_eq!(scopes(&shown(&ending, &status(Stage::Settled), &[("mesh", 3)])), []);
    }
}
