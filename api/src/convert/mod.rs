//! What a Canary means: spec to plan. Flagger's defaults and clamps are applied here, and nothing is left to guess.

mod affinity;
mod checks;
mod edges;
mod evidence;
mod hooks;
mod matching;
mod numbers;
mod render;
mod routing;
mod schedule;
mod target;

use serin_rollout::Plan;

pub(crate) use self::checks::{find_template, template_field};
pub(crate) use self::numbers::{positive_duration, whole};
pub(crate) use self::target::label;

use crate::field::Field;
use crate::{Canary, MetricTemplate, Problems};

/// Who answers a check.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// The filter's counts.
    Counts,
    /// The Prometheus that the Canary names.
    Inline,
    /// The provider of a template.
    Template(&'a MetricTemplate),
}

/// What a Canary means; `templates` are those that its metrics may refer to. Reports everything that is wrong, not the
/// first thing only.
///
/// Of `flagger.app` objects an interval below 10 s is taken as 10 s, and a metric without bounds keeps Flagger's
/// (nothing below 0 %, nothing above 0). Of ours both are problems.
pub fn plan(canary: &Canary, templates: &[MetricTemplate]) -> Result<Plan, Problems> {
    let mut problems = Problems::default();
    let (plan, _) = meaning(canary, templates, &mut problems);
    problems.or(plan)
}

/// As [`plan`], with the source of each check; of no use with problems.
pub(crate) fn meaning<'a>(
    canary: &Canary,
    templates: &'a [MetricTemplate],
    it: &mut Problems,
) -> (Plan, Vec<Source<'a>>) {
    let (group, analysis) = (canary.group, &canary.spec.analysis);
    let field = Field::root("spec.analysis");

    target::check(canary, it);
    let checks = checks::checks(canary, templates, it);
    let (checks, sources): (Vec<_>, Vec<_>) = checks.into_iter().unzip();
    let interval = schedule::interval(analysis.interval.as_deref(), group, it);
    let given = analysis.evidence.as_ref();
    let evidence = evidence::evidence(given, group, interval, &field.at("evidence"), it);
    let plan = Plan {
        canary: canary.name().to_owned(),
        target: canary.spec.target_ref.name.clone(),
        name: canary.apex().to_owned(),
        namespace: canary.namespace().to_owned(),
        schedule: schedule::schedule(&canary.spec, group, it),
        interval,
        threshold: schedule::threshold(analysis.threshold, group, it),
        routing: routing::routing(canary, &checks, &evidence, it),
        hooks: hooks::hooks(&analysis.webhooks, group, it),
        checks,
        evidence,
        skip_analysis: canary.spec.skip_analysis,
    };
    (plan, sources)
}
