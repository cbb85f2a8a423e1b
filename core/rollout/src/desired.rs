//! The projection: what the world should look like for a plan and a status.

use serin_route::{Rollout, Track};

use crate::{Phase, Plan, Status};

/// What the world should look like. Applying it twice changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The filter's entry; at weight 0 until that is acknowledged, then gone.
    pub rollout: Option<Rollout>,
    /// The canary's route exists.
    pub canary_route: bool,
    /// Who serves the default route: the canary only after a failed promotion.
    pub default: Track,
    /// The canary's workload runs.
    pub canary_runs: bool,
    /// The revision that primary should run.
    pub primary_revision: Option<String>,
}

/// The projection of a status.
pub fn desired(plan: &Plan, status: &Status) -> Desired {
    let run = status.run.as_ref();
    let live = matches!(status.phase, Phase::Progressing | Phase::WaitingPromotion | Phase::Promoting);
    Desired {
        rollout: None,
        canary_route: live && run.is_some_and(|run| run.weight.basis_points() > 0),
        default: Track::Primary,
        canary_runs: live,
        primary_revision: plan.skip_analysis.then(String::new),
    }
}
