//! What comes of a wish as things stand: whether it is written, and what happens next. Reads and writes nothing.

use serin_api::canary::CanaryPhase;
use serin_rollout::Intent;

use super::view::View;

/// What comes of a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Prospect {
    /// It is written; then this happens.
    Write(String),
    /// It is so already.
    Already(String),
    /// It would have no effect.
    Impossible(String),
}

use Prospect::{Already, Impossible, Write};

/// The word that is written.
pub(super) fn word(intent: Intent) -> &'static str {
    match intent {
        Intent::Pause => "pause",
        Intent::Resume => "resume",
        Intent::Abort => "abort",
        Intent::Promote => "promote",
        Intent::Retry => "retry",
    }
}

/// What comes of it.
pub(super) fn prospect(view: &View, intent: Intent) -> Prospect {
    if view.canary.metadata.deletion_timestamp.is_some() {
        return Impossible("is being deleted".to_owned());
    }
    if view.canary.spec.suspend {
        let text = "is suspended (spec.suspend): nothing happens until that is taken off";
        return Impossible(text.to_owned());
    }
    let status = view.canary.status.as_ref();
    let problems = status.and_then(|it| it.serin.as_ref()).map_or(&[][..], |it| &it.problems);
    if let Some(problem) = problems.first() {
        let (field, message) = (&problem.field, &problem.message);
        return Impossible(format!("is refused until it is right: {field}: {message}"));
    }
    let phase = status.map_or(CanaryPhase::Unset, |status| status.phase);
    match intent {
        Intent::Pause => pause(view),
        Intent::Resume => resume(view),
        Intent::Abort => abort(phase),
        Intent::Promote => promote(phase),
        Intent::Retry => retry(phase),
    }
}

fn pause(view: &View) -> Prospect {
    if view.status.as_ref().is_some_and(|status| status.paused) {
        return Already("is paused already; `serin resume` goes on".to_owned());
    }
    Write(match view.live() {
        Some(run) => format!(
            "its weight stays {}; evidence may still roll it back; `serin resume` goes on",
            run.weight
        ),
        None => "no release is under way: the next one is held as it begins, until `serin resume`"
            .to_owned(),
    })
}

fn resume(view: &View) -> Prospect {
    if !view.needs_resume() {
        return Already("is not held by a pause".to_owned());
    }
    Write(match view.live() {
        Some(_) => "it goes on with its schedule".to_owned(),
        None => "the next release will not be held".to_owned(),
    })
}

fn abort(phase: CanaryPhase) -> Prospect {
    let back = "put the old image back to return to it: `kubectl rollout undo deployment/NAME`";
    match phase {
        CanaryPhase::Failed => Already("is rolled back already".to_owned()),
        CanaryPhase::Waiting => {
            Write("the new revision is left alone until it changes or `serin retry`".to_owned())
        }
        CanaryPhase::Progressing | CanaryPhase::WaitingPromotion | CanaryPhase::Promoting => {
            Write("all traffic goes to primary, then the canary's pods go".to_owned())
        }
        CanaryPhase::Finalising | CanaryPhase::Succeeded => {
            Impossible(format!("is promoted: there is nothing to abort; {back}"))
        }
        _ => Impossible(NOTHING.to_owned()),
    }
}

fn promote(phase: CanaryPhase) -> Prospect {
    match phase {
        CanaryPhase::Succeeded | CanaryPhase::Promoting | CanaryPhase::Finalising => {
            Already("is promoted already, or about to be".to_owned())
        }
        CanaryPhase::Progressing | CanaryPhase::WaitingPromotion => Write(
            "the steps that are left are skipped: primary becomes the new revision as soon as the \
             canary is ready"
                .to_owned(),
        ),
        CanaryPhase::Waiting => {
            Impossible("waits for its confirm-rollout hook, which alone lets it begin".to_owned())
        }
        CanaryPhase::Failed => {
            Impossible("was rolled back; `serin retry` tries it again".to_owned())
        }
        _ => Impossible(NOTHING.to_owned()),
    }
}

fn retry(phase: CanaryPhase) -> Prospect {
    match phase {
        CanaryPhase::Failed => {
            Write("the failed revision is tried again from the start".to_owned())
        }
        CanaryPhase::Waiting
        | CanaryPhase::Progressing
        | CanaryPhase::WaitingPromotion
        | CanaryPhase::Promoting
        | CanaryPhase::Finalising => Already("has a release under way already".to_owned()),
        _ => Impossible("has no failed release to try again".to_owned()),
    }
}

const NOTHING: &str = "has no release under way; a change of its target's pod template begins one";

#[cfg(test)]
mod tests {
    use serde_json::json;
    use serin_api::canary::{SerinStatus, StatusProblem};
    use serin_rollout::{Phase, Status};

    use super::super::view::fixture::{canary, progressing, view};
    use super::*;

    const ALL: [Intent; 5] =
        [Intent::Pause, Intent::Resume, Intent::Abort, Intent::Promote, Intent::Retry];

    fn at(phase: Phase) -> View {
        view(&Status { phase, ..progressing() })
    }

    /// Written (w), so already (a) or impossible (i), in the order of [`ALL`].
    fn prospects(view: &View) -> String {
        let letter = |intent| match prospect(view, intent) {
            Write(_) => 'w',
            Already(_) => 'a',
            Impossible(_) => 'i',
        };
        ALL.into_iter().map(letter).collect()
    }

    #[test]
    fn each_phase_knows_what_can_be_asked_of_it() {
        for (phase, expected) in [
            (Phase::Initializing, "waiii"),
            (Phase::Initialized, "waiii"),
            (Phase::Waiting, "wawia"),
            (Phase::Progressing, "wawwa"),
            (Phase::WaitingPromotion, "wawwa"),
            (Phase::Promoting, "wawaa"),
            (Phase::Finalising, "waiaa"),
            (Phase::Succeeded, "waiai"),
            (Phase::Failed, "waaiw"),
        ] {
            assert_eq!(prospects(&at(phase)), expected, "{phase:?}");
        }
        assert_eq!(prospects(&view(&Status { paused: true, ..progressing() })), "awwwa");
    }

    #[test]
    fn the_weight_that_is_held_is_told() {
        let Write(next) = prospect(&at(Phase::Progressing), Intent::Pause) else { panic!() };
        assert!(next.starts_with("its weight stays 25%;"), "{next}");
    }

    #[test]
    fn what_the_controller_does_not_look_at_takes_no_wish() {
        assert_eq!(prospects(&View::of(canary(&json!({ "suspend": true })))), "iiiii");
        let mut refused = at(Phase::Progressing);
        let problems = vec![StatusProblem { field: "spec.x".into(), message: "must be y".into() }];
        let status = refused.canary.status.as_mut().unwrap();
        status.serin = Some(SerinStatus { problems, ..SerinStatus::default() });
        let text = "is refused until it is right: spec.x: must be y".to_owned();
        assert_eq!(prospect(&refused, Intent::Abort), Impossible(text));
    }
}
