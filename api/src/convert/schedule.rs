//! How traffic moves: exactly one style of schedule, and its pace.

use std::time::Duration;

use serin_rollout::{Schedule, ScheduleStep};
use serin_route::Weight;

use super::numbers::{duration, positive_duration, whole};
use crate::canary::{Analysis, AnalysisStep, CanarySpec, Pause};
use crate::field::Field;
use crate::{Group, Problems, show_duration};

/// Where no interval is given.
const INTERVAL: Duration = Duration::from_mins(1);
/// Flagger's least interval, a clamp there.
const FLAGGER_INTERVAL_MIN: Duration = Duration::from_secs(10);
/// Reports come once a second, so that nothing can be judged sooner.
const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Keeps a schedule, and what is said about it, within reason.
const STEPS_MAX: usize = 1000;

/// The time between two rounds.
pub(super) fn interval(text: Option<&str>, group: Group, problems: &mut Problems) -> Duration {
    let field = Field::root("spec.analysis.interval");
    let given = duration(text, &field, problems).unwrap_or(INTERVAL);
    match group {
        Group::Flagger => given.max(FLAGGER_INTERVAL_MIN),
        Group::Serin => {
            if given < INTERVAL_MIN {
                let rule = format!("must be at least 1s, not {}", show_duration(given));
                problems.add(field, rule);
            }
            given
        }
    }
}

/// Failed rounds that end the release. Flagger takes 0 and less as 1.
pub(super) fn threshold(given: Option<i64>, group: Group, problems: &mut Problems) -> u32 {
    let least = if group == Group::Flagger { i64::MIN } else { 1 };
    let field = Field::root("spec.analysis.threshold");
    match given {
        Some(number) if number < 1 && least < 1 => 1,
        Some(number) => whole(number, 1..=u32::MAX.into(), &field, problems).unwrap_or(1),
        None => 1,
    }
}

/// The schedule; [`CanarySpec::skip_analysis`] needs none.
pub(super) fn schedule(spec: &CanarySpec, group: Group, problems: &mut Problems) -> Schedule {
    let (analysis, field) = (&spec.analysis, Field::root("spec.analysis"));
    let styles = styles(analysis);
    match styles.as_slice() {
        [Style::Iterations] => iterations(analysis, &field, problems),
        [Style::StepWeight] => Schedule::Steps(linear(analysis, &field, problems)),
        [Style::StepWeights] => Schedule::Steps(listed(analysis, group, &field, problems)),
        [Style::Steps] => Schedule::Steps(steps(&analysis.steps, &field.at("steps"), problems)),
        [] if spec.skip_analysis => Schedule::Steps(Vec::new()),
        [] => {
            problems.add(field, "needs one of steps, stepWeight, stepWeights and iterations");
            Schedule::Steps(Vec::new())
        }
        several => {
            let names: Vec<&str> = several.iter().map(|style| style.name()).collect();
            let rule = "needs only one of steps, stepWeight, stepWeights and iterations";
            problems.add(field, format!("{rule}, not {}", names.join(" and ")));
            Schedule::Steps(Vec::new())
        }
    }
}

#[derive(Clone, Copy)]
enum Style {
    Steps,
    StepWeight,
    StepWeights,
    Iterations,
}

impl Style {
    fn name(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::StepWeight => "stepWeight",
            Self::StepWeights => "stepWeights",
            Self::Iterations => "iterations",
        }
    }
}

/// The styles that are used. A zero means nothing, as in Flagger.
fn styles(analysis: &Analysis) -> Vec<Style> {
    let number = |number: Option<i64>| number.is_some_and(|number| number != 0);
    let used = [
        (Style::Steps, !analysis.steps.is_empty()),
        (Style::StepWeight, number(analysis.step_weight)),
        (Style::StepWeights, !analysis.step_weights.is_empty()),
        (Style::Iterations, number(analysis.iterations)),
    ];
    used.into_iter().filter_map(|(style, used)| used.then_some(style)).collect()
}

fn iterations(analysis: &Analysis, field: &Field, problems: &mut Problems) -> Schedule {
    let given = analysis.iterations.unwrap_or_default();
    let range = 1..=u32::MAX.into();
    let iterations = whole(given, range, &field.at("iterations"), problems).unwrap_or(1);
    if analysis.matching.is_empty() {
        Schedule::BlueGreen { iterations }
    } else {
        Schedule::Ab { iterations }
    }
}

/// Up to the first weight that is `maxWeight` or more: 20 with 50 gives 20, 40, 60.
fn linear(analysis: &Analysis, field: &Field, problems: &mut Problems) -> Vec<ScheduleStep> {
    let percent = |number: Option<i64>, name: &str, problems: &mut Problems| {
        whole::<u8>(number?, 1..=100, &field.at(name), problems)
    };
    let step = percent(analysis.step_weight, "stepWeight", problems);
    let max = percent(analysis.max_weight.filter(|max| *max != 0), "maxWeight", problems);
    let (step, max) = (usize::from(step.unwrap_or(100)), u32::from(max.unwrap_or(100)));
    let below = (0..max).step_by(step).filter_map(|weight| u8::try_from(weight).ok());
    below.map(|weight| weight.saturating_add(u8::try_from(step).unwrap_or(100))).map(set).collect()
}

/// Rising percentages. Flagger takes a last one above 100 as 100.
fn listed(
    analysis: &Analysis,
    group: Group,
    field: &Field,
    problems: &mut Problems,
) -> Vec<ScheduleStep> {
    let weights = &analysis.step_weights;
    let field = field.at("stepWeights");
    if group == Group::Serin && analysis.max_weight.is_some() {
        problems.add(
            "spec.analysis.maxWeight",
            "has no meaning with stepWeights: the last is the most",
        );
    }
    let last = weights.len().saturating_sub(1);
    let mut before = 0;
    let mut steps = Vec::new();
    for (index, weight) in weights.iter().enumerate() {
        let clamped = index == last && group == Group::Flagger;
        let weight = if clamped { (*weight).min(100) } else { *weight };
        let field = field.nth(index);
        if let Some(percent) = whole::<u8>(weight, 1..=100, &field, problems) {
            if weight <= before {
                problems.add(&field, format!("must rise: {weight} follows {before}"));
            }
            before = weight.max(before);
            steps.push(set(percent));
        }
    }
    steps
}

fn set(percent: u8) -> ScheduleStep {
    ScheduleStep::SetWeight(Weight::from_percent(percent))
}

fn steps(given: &[AnalysisStep], field: &Field, problems: &mut Problems) -> Vec<ScheduleStep> {
    if given.len() > STEPS_MAX {
        problems.add(field, format!("at most {STEPS_MAX} are allowed, not {}", given.len()));
        return Vec::new();
    }
    let mut before = Weight::ZERO;
    let mut steps = Vec::new();
    for (index, step) in given.iter().enumerate() {
        let field = field.nth(index);
        let step = match (step.set_weight, &step.pause) {
            (Some(percent), None) => rising(percent, &mut before, &field.at("setWeight"), problems),
            (None, Some(pause)) => paused(pause, &field.at("pause"), problems),
            _ => {
                problems.add(&field, "needs one of setWeight and pause");
                None
            }
        };
        steps.extend(step);
    }
    if !given.iter().any(|step| step.set_weight.is_some()) {
        problems.add(field, "needs at least one setWeight");
    }
    steps
}

fn rising(
    percent: f64,
    before: &mut Weight,
    field: &Field,
    problems: &mut Problems,
) -> Option<ScheduleStep> {
    let Some(weight) = weight(percent) else {
        let rule = "must be above 0 and at most 100, with at most two decimals";
        problems.add(field, format!("{rule}, not {percent}"));
        return None;
    };
    if weight <= *before {
        problems.add(field, format!("must rise: {weight} follows {before}"));
    }
    *before = weight.max(*before);
    Some(ScheduleStep::SetWeight(weight))
}

/// Basis points that a percentage is exactly, but for the rounding of floats.
fn weight(percent: f64) -> Option<Weight> {
    let points = (percent * 100.0).round();
    let exact = (1.0..=10_000.0).contains(&points) && (percent * 100.0 - points).abs() < 1e-6;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    exact.then(|| Weight::from_basis_points(points as u16).ok()).flatten()
}

fn paused(pause: &Pause, field: &Field, problems: &mut Problems) -> Option<ScheduleStep> {
    let Some(text) = pause.duration.as_deref() else { return Some(ScheduleStep::Pause(None)) };
    let duration = positive_duration(Some(text), &field.at("duration"), problems)?;
    Some(ScheduleStep::Pause(Some(duration)))
}
