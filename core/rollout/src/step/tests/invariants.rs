//! What holds for every step, whatever was seen.

use serin_route::Weight;

use crate::{Intent, Phase, Plan, Run, Seen, Stage, Status, Step};

/// One step and what it was taken from.
pub(super) struct Taken<'t> {
    pub(super) plan: &'t Plan,
    pub(super) before: &'t Status,
    pub(super) seen: &'t Seen,
    pub(super) step: &'t Step,
}

/// Panics with the first invariant that does not hold.
pub(super) fn check(taken: &Taken<'_>) {
    let Taken { before, seen, step, .. } = taken;
    let after = &step.status;
    if let Some(verdict) = &step.verdict {
        assert!(verdict.ln_e.is_finite() && verdict.ln_e_capped.is_finite(), "{verdict:?}");
        assert!(!verdict.text.is_empty() && !verdict.text.contains("NaN"), "{verdict:?}");
    }
    let desired = crate::desired(taken.plan, after);
    let weight = desired.rollout.as_ref().map(|entry| entry.weight);
    let (Some(old), Some(new)) = (&before.run, &after.run) else { return };
    if old.id != new.id {
        assert_eq!(new.weight, Weight::ZERO, "a run begins without traffic");
        return;
    }
    rises(old, new, seen);
    assert!(new.generation >= old.generation, "generations rise");
    assert!(
        new.weight == old.weight || new.generation > old.generation,
        "one weight, one generation"
    );
    assert!(new.failed_checks >= old.failed_checks, "failures add up");
    assert!(new.routing < 1 << 53, "a store may keep numbers as doubles");
    let aborted = seen.intent == Some(Intent::Abort);
    let live = matches!(before.phase, Phase::Progressing | Phase::WaitingPromotion);
    if aborted && live {
        assert_eq!(
            (after.phase, weight),
            (Phase::Failed, Some(Weight::ZERO)),
            "an abort is at once"
        );
        assert!(!desired.canary_route);
    }
}

fn rises(old: &Run, new: &Run, seen: &Seen) {
    if new.weight > old.weight {
        assert!(!old.is_over(), "the weight rose after the end");
        assert!(seen.projection.applied, "the weight rose past an unapplied projection");
        // Pods that come back get what they had.
        let returned = old.quarantine.is_none() || old.suspended.is_some();
        assert!(returned || new.quarantined_before, "it rose in quarantine");
    }
    if old.is_over() {
        assert_eq!(new.quarantine, None, "nothing is quarantined after the end");
    }
    if old.stage == Stage::Settled {
        assert_eq!(new.weight, Weight::ZERO);
    }
}

/// Steps with nothing new seen at the same time come to rest.
pub(super) fn comes_to_rest(plan: &Plan, step: &Step, seen: &Seen, now: jiff::Timestamp) {
    let seen = Seen { intent: None, ..seen.clone() };
    let (mut status, mut ledger) = (step.status.clone(), step.ledger.clone());
    for _ in 0..8 {
        let again = crate::step(plan, &status, ledger, &seen, now);
        if again.status == status && again.notices.is_empty() {
            return;
        }
        (status, ledger) = (again.status, again.ledger);
    }
    panic!("it never comes to rest: {status:?}");
}

/// A decision is made once: with its projection not applied yet, the same facts lead to nothing that advances.
pub(super) fn decides_once(plan: &Plan, step: &Step, seen: &Seen, now: jiff::Timestamp) {
    let projection = crate::Projection::default();
    let seen = Seen { intent: None, projection, ..seen.clone() };
    let again = crate::step(plan, &step.status, step.ledger.clone(), &seen, now);
    let order = [
        Phase::Progressing,
        Phase::WaitingPromotion,
        Phase::Promoting,
        Phase::Finalising,
        Phase::Succeeded,
    ];
    let rank = |phase| order.iter().position(|it| *it == phase);
    let (first, second) = (step.status.phase, again.status.phase);
    if let (Some(first), Some(second)) = (rank(first), rank(second)) {
        let waits = [Phase::Progressing, Phase::WaitingPromotion].contains(&again.status.phase);
        assert!(second <= first || waits, "it advanced unapplied: {step:?} {again:?}");
    }
    if let (Some(one), Some(other)) = (&step.status.run, &again.status.run)
        && one.id == other.id
    {
        assert!(other.weight <= one.weight, "it rose unapplied: {step:?} {again:?}");
    }
}
