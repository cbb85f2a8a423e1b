//! How evidence is judged: percentages to fractions, and what is left out to the defaults of the verdict.

use std::time::Duration;

use serin_rollout::{
    AdvanceGate, Evidence as Judged, Mode as Acting, Objective, OnInconclusive as Then,
    QuarantineWeight,
};

use super::numbers::{between, duration, milliseconds, positive_duration};
use crate::canary::{
    Evidence, Gate, LatencyObjective, Mode, Objectives, OnInconclusive, Quarantine,
};
use crate::field::Field;
use crate::{Group, Problems, show_duration};

/// Intervals that the longest dwell leaves time for, unless its author says otherwise.
const DWELL_INTERVALS: u32 = 3;

/// The verdict's settings; `interval` is the least time at each weight. A `flagger.app` Canary advances as Flagger
/// would, on its checks alone; of ours, nobody wants an untried version promoted.
pub(super) fn evidence(
    given: Option<&Evidence>,
    group: Group,
    interval: Duration,
    field: &Field,
    problems: &mut Problems,
) -> Judged {
    let default = Judged::default();
    let dwell_max = default.dwell_max.max(interval.saturating_mul(DWELL_INTERVALS));
    let gate_default = match group {
        Group::Flagger => AdvanceGate::Checks,
        Group::Serin => AdvanceGate::Traffic,
    };
    let default = Judged { dwell_max, gate: gate_default, ..default };
    let Some(given) = given else { return default };
    let objectives = objectives(given.objectives.as_ref(), &field.at("objectives"), problems);
    let judged = Judged {
        gate: gate(given.gate, gate_default, &objectives, &field.at("gate"), problems),
        objectives,
        mode: given.mode.map_or(default.mode, mode),
        on_inconclusive: given.on_inconclusive.map_or(default.on_inconclusive, then),
        quarantine: given.quarantine.map_or(default.quarantine, quarantine),
        ..default
    };
    let judged = probabilities(given, judged, field, problems);
    let judged = times(given, judged, field, problems);
    if judged.dwell_max < interval {
        let (dwell, interval) = (show_duration(judged.dwell_max), show_duration(interval));
        let rule = format!("must not be shorter than the interval: {dwell} is below {interval}");
        problems.add(field.at("maxDwell"), rule);
    }
    judged
}

fn probabilities(
    given: &Evidence,
    judged: Judged,
    field: &Field,
    problems: &mut Problems,
) -> Judged {
    let mut alpha = |number, name, default| {
        between(number, (0.0, 1.0), &field.at(name), problems).unwrap_or(default)
    };
    let judged = Judged {
        alpha_quarantine: alpha(given.alpha_quarantine, "alphaQuarantine", judged.alpha_quarantine),
        alpha_rollback: alpha(given.alpha_rollback, "alphaRollback", judged.alpha_rollback),
        alpha_pass: alpha(given.alpha_pass, "alphaPass", judged.alpha_pass),
        ..judged
    };
    let mut percent = |number, name, default| {
        let percent = between(number, (0.0, 100.0), &field.at(name), problems);
        percent.map_or(default, fraction)
    };
    let judged = Judged {
        error_floor: percent(given.error_floor, "errorFloor", judged.error_floor),
        latency_floor: percent(given.latency_floor, "latencyFloor", judged.latency_floor),
        guard: given.guard.unwrap_or(judged.guard),
        ..judged
    };
    if judged.alpha_rollback > judged.alpha_quarantine {
        let (rollback, quarantine) = (judged.alpha_rollback, judged.alpha_quarantine);
        let rule = "must not be above alphaQuarantine: a rollback needs more than a quarantine";
        problems
            .add(field.at("alphaRollback"), format!("{rule}; {rollback} is above {quarantine}"));
    }
    if !(1.0..=100.0).contains(&judged.guard) {
        let rule = format!("must be from 1 to 100, not {}", judged.guard);
        problems.add(field.at("guard"), rule);
    }
    judged
}

fn times(given: &Evidence, judged: Judged, field: &Field, problems: &mut Problems) -> Judged {
    let block = block(given.block.as_deref(), &field.at("block"), problems);
    let warmup = duration(given.latency_warmup.as_deref(), &field.at("latencyWarmup"), problems);
    let dwell = positive_duration(given.max_dwell.as_deref(), &field.at("maxDwell"), problems);
    Judged {
        block: block.or(judged.block),
        latency_warmup: warmup.unwrap_or(judged.latency_warmup),
        dwell_max: dwell.unwrap_or(judged.dwell_max),
        ..judged
    }
}

/// Reports come once a second: a block is whole seconds.
fn block(given: Option<&str>, field: &Field, problems: &mut Problems) -> Option<Duration> {
    let block = positive_duration(given, field, problems)?;
    if block.subsec_nanos() != 0 {
        problems.add(field, format!("must be whole seconds, not {}", show_duration(block)));
        return None;
    }
    Some(block)
}

fn objectives(
    given: Option<&Objectives>,
    field: &Field,
    problems: &mut Problems,
) -> Vec<Objective> {
    let Some(given) = given else { return Vec::new() };
    let rate = between(given.error_rate, (0.0, 100.0), &field.at("errorRate"), problems);
    let mut objectives: Vec<Objective> = Vec::new();
    objectives.extend(rate.map(|percent| Objective::ErrorRate(fraction(percent))));
    for (index, latency) in given.latency.iter().enumerate() {
        objectives.extend(promised(latency, &field.at("latency").nth(index), problems));
    }
    if given.error_rate.is_none() && given.latency.is_empty() {
        problems.add(field, "needs errorRate or latency");
    }
    objectives
}

fn promised(given: &LatencyObjective, field: &Field, problems: &mut Problems) -> Option<Objective> {
    let threshold_ms = milliseconds(&given.threshold, &field.at("threshold"), problems);
    let percentile =
        between(Some(given.percentile), (0.0, 100.0), &field.at("percentile"), problems);
    Some(Objective::Latency { threshold_ms: threshold_ms?, over: fraction(100.0 - percentile?) })
}

/// A percentage as a fraction, without the noise of floats: `100 - 99.9` percent is 0.001.
fn fraction(percent: f64) -> f64 {
    (percent * 1e7).round() / 1e9
}

fn gate(
    given: Option<Gate>,
    default: AdvanceGate,
    objectives: &[Objective],
    field: &Field,
    problems: &mut Problems,
) -> AdvanceGate {
    match given {
        Some(Gate::Pass) if objectives.is_empty() => {
            problems.add(field, "pass needs objectives");
            AdvanceGate::Pass
        }
        Some(Gate::Checks) => AdvanceGate::Checks,
        Some(Gate::Traffic) => AdvanceGate::Traffic,
        None if objectives.is_empty() => default,
        Some(Gate::Pass) | None => AdvanceGate::Pass,
    }
}

fn mode(mode: Mode) -> Acting {
    match mode {
        Mode::Enforce => Acting::Enforce,
        Mode::Observe => Acting::Observe,
    }
}

fn then(then: OnInconclusive) -> Then {
    match then {
        OnInconclusive::Hold => Then::Hold,
        OnInconclusive::Promote => Then::Promote,
        OnInconclusive::Rollback => Then::Rollback,
    }
}

fn quarantine(quarantine: Quarantine) -> QuarantineWeight {
    match quarantine {
        Quarantine::Floor => QuarantineWeight::Floor,
        Quarantine::Zero => QuarantineWeight::Zero,
        Quarantine::Keep => QuarantineWeight::Keep,
    }
}
