//! The projection: what the world should look like for a plan and a status.

use serin_route::{Rollout, Track};

use crate::{Phase, Plan, Run, Stage, Status};

/// What the world should look like. Applying it twice changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// Primary has been ready: traffic may be led to it.
    pub initialized: bool,
    /// The filter's entry; at weight 0 until that is acknowledged, then gone.
    pub rollout: Option<Rollout>,
    /// The canary's route exists.
    pub canary_route: bool,
    /// Who serves the default route: the canary only after a failed promotion.
    pub default: Track,
    /// The canary's workload runs.
    pub canary_runs: bool,
    /// The revision that primary should run; none while that is not known.
    pub primary_revision: Option<String>,
}

/// The projection of a status.
pub fn desired(plan: &Plan, status: &Status) -> Desired {
    let run = status.run.as_ref();
    let stage = run.map_or(Stage::Settled, |run| run.stage);
    let live = matches!(stage, Stage::Preparing | Stage::Analysing);
    let failover = stage == Stage::Failover;
    Desired {
        initialized: status.phase != Phase::Initializing,
        rollout: run.filter(|_| stage != Stage::Settled).map(|run| entry(plan, run)),
        canary_route: live || failover,
        default: if failover { Track::Canary } else { Track::Primary },
        // Traffic first, then pods: the canary stays until no filter sends to it any more.
        canary_runs: stage != Stage::Settled || status.phase == Phase::Initializing,
        primary_revision: primary_revision(status),
    }
}

/// The revision that primary should run: the one under trial as soon as it is being promoted.
fn primary_revision(status: &Status) -> Option<String> {
    let promoting = matches!(status.phase, Phase::Promoting | Phase::Finalising);
    match &status.run {
        Some(run) if promoting || run.stage == Stage::Failover => Some(run.revision.clone()),
        _ => status.promoted_revision.clone(),
    }
}

fn entry(plan: &Plan, run: &Run) -> Rollout {
    let routing = plan.routing.clone();
    Rollout {
        name: plan.name.clone(),
        namespace: plan.namespace.clone(),
        run: run.id.clone(),
        generation: run.generation,
        salt: run.salt.clone(),
        nonce: run.nonce.clone(),
        weight: run.weight,
        rules: routing.rules,
        otherwise: routing.otherwise,
        keys: routing.keys,
        affinity: routing.affinity,
        edges_ms: routing.edges_ms,
        routes: routing.routes,
        direct: routing.direct,
        grpc: routing.grpc,
        retries: routing.retries,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serin_route::Weight;

    fn status(phase: Phase, stage: Stage, weight: Weight) -> Status {
        let run = Run { revision: "v2".into(), stage, weight, generation: 3, ..Run::default() };
        let promoted_revision = Some("v1".into());
        Status { phase, run: Some(run), promoted_revision, ..Status::default() }
    }

    fn project(phase: Phase, stage: Stage, weight: Weight) -> Desired {
        desired(&crate::fixture::plan(), &status(phase, stage, weight))
    }

    #[test]
    fn without_a_run_nothing_is_steered() {
        let idle = desired(&crate::fixture::plan(), &Status::default());
        assert!(idle.rollout.is_none() && !idle.canary_route && idle.primary_revision.is_none());
        assert!(idle.canary_runs && !idle.initialized, "the target serves until primary is there");
    }

    #[test]
    fn a_run_has_an_entry_and_a_route() {
        let ten = Weight::from_percent(10);
        let live = project(Phase::Progressing, Stage::Analysing, ten);
        let entry = live.rollout.unwrap();
        assert_eq!((entry.weight, entry.generation), (ten, 3));
        assert_eq!(entry.name, "app");
        assert!(live.initialized && live.canary_route && live.canary_runs);
        assert_eq!(live.primary_revision.as_deref(), Some("v1"));
        assert_eq!(live.default, Track::Primary);
    }

    #[test]
    fn an_ended_run_stays_at_weight_0_until_that_is_acknowledged() {
        let ending = project(Phase::Failed, Stage::Ending, Weight::ZERO);
        assert_eq!(ending.rollout.unwrap().weight, Weight::ZERO);
        assert!(!ending.canary_route && ending.canary_runs);
        let settled = project(Phase::Failed, Stage::Settled, Weight::ZERO);
        assert!(settled.rollout.is_none() && !settled.canary_route && !settled.canary_runs);
        assert_eq!(settled.primary_revision.as_deref(), Some("v1"));
    }

    #[test]
    fn promotion_gives_primary_the_new_revision() {
        for (phase, revision) in
            [(Phase::WaitingPromotion, "v1"), (Phase::Promoting, "v2"), (Phase::Finalising, "v2")]
        {
            let it = project(phase, Stage::Analysing, Weight::FULL);
            assert_eq!(it.primary_revision.as_deref(), Some(revision), "{phase:?}");
        }
    }

    #[test]
    fn after_a_failed_promotion_the_canary_is_the_default() {
        let failover = project(Phase::Failed, Stage::Failover, Weight::from_percent(50));
        assert_eq!(failover.default, Track::Canary);
        assert!(failover.canary_runs);
        assert_eq!(failover.primary_revision.as_deref(), Some("v2"));
    }
}
