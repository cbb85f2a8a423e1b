//! The workload under release.

use std::time::Duration;

use crate::convert::whole;
use crate::field::Field;
use crate::{Canary, Group, Problems};

/// Where no deadline is given; Flagger's.
const DEADLINE: Duration = Duration::from_mins(10);

/// The workload under release, a Deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name; primary's is `<name>-primary`.
    pub name: String,
    /// How long it may take to become ready.
    pub progress_deadline: Duration,
    /// Percent of primary's pods that must be ready.
    pub primary_ready: u8,
    /// Percent of the canary's pods that must be ready.
    pub canary_ready: u8,
}

impl Target {
    /// Its kind.
    pub const KIND: &'static str = "Deployment";
}

pub(super) fn target(canary: &Canary, problems: &mut Problems) -> Target {
    let (spec, analysis) = (&canary.spec, &canary.spec.analysis);
    check(canary, &Field::root("spec.targetRef"), problems);
    let field = Field::root("spec.progressDeadlineSeconds");
    let seconds = spec.progress_deadline_seconds;
    let seconds = seconds.and_then(|given| whole(given, 1..=u32::MAX.into(), &field, problems));
    let mut ready = |given: Option<i64>, name| {
        let field = Field::root("spec.analysis").at(name);
        given.and_then(|given| whole(given, 0..=100, &field, problems)).unwrap_or(100)
    };
    Target {
        name: spec.target_ref.name.clone(),
        progress_deadline: seconds.map_or(DEADLINE, |it: u32| Duration::from_secs(it.into())),
        primary_ready: ready(analysis.primary_ready_threshold, "primaryReadyThreshold"),
        canary_ready: ready(analysis.canary_ready_threshold, "canaryReadyThreshold"),
    }
}

/// Flagger looks at the kind only.
fn check(canary: &Canary, field: &Field, problems: &mut Problems) {
    let target = &canary.spec.target_ref;
    match target.kind.as_str() {
        Target::KIND => {}
        "" => problems.add(field.at("kind"), "is missing"),
        kind @ ("DaemonSet" | "Service") => {
            problems.add(field.at("kind"), format!("{kind} is valid but not supported yet"));
        }
        kind => problems.add(field.at("kind"), format!("must be Deployment, not {kind:?}")),
    }
    let version = target.api_version.as_str();
    let ours = canary.group == Group::Serin && target.kind == Target::KIND;
    if ours && !matches!(version, "" | "apps/v1") {
        problems.add(field.at("apiVersion"), format!("must be apps/v1, not {version:?}"));
    }
}
