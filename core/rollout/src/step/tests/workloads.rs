//! Revisions and readiness.

use super::*;

#[test]
fn a_newer_revision_restarts_the_run_and_the_old_one_ends_it() {
    let mut drill = Drill::new(plan());
    drill.pass(5);
    let first = drill.run().clone();
    drill.seen.revision = "v3".into();
    drill.after(500);
    let second = drill.run().clone();
    assert_ne!((&first.id, &first.salt, &first.nonce), (&second.id, &second.salt, &second.nonce));
    assert_eq!((second.weight, second.revision.as_str()), (Weight::ZERO, "v3"));
    assert!(second.round > first.round);
    drill.pass(5);
    drill.seen.revision = "v1".into();
    drill.after(500);
    assert_eq!((drill.status.phase, drill.percent()), (Phase::Failed, 0));
    assert_eq!(drill.run().verdict.as_ref().unwrap().reason, "Reverted");
}

#[test]
fn the_last_ready_pod_takes_the_weight_with_it() {
    let mut drill = Drill::new(plan());
    drill.pass(5);
    drill.seen.workloads.canary = Readiness::Waiting;
    drill.seen.workloads.canary_pods = 1;
    drill.after(500);
    assert_eq!(drill.percent(), 10, "one pod still serves");
    drill.seen.workloads.canary_pods = 0;
    drill.after(500);
    assert_eq!((drill.percent(), drill.status.phase), (0, Phase::Progressing));
    drill.pass(30);
    drill.seen.workloads.canary = Readiness::Ready;
    drill.after(500);
    assert_eq!(drill.percent(), 10);
    drill.seen.workloads.canary = Readiness::Failed("its image cannot be pulled".into());
    drill.after(500);
    assert_eq!(drill.status.phase, Phase::Failed);
    assert!(drill.told.iter().any(|notice| notice.message == "its image cannot be pulled"));
}

#[test]
fn a_failed_promotion_makes_the_canary_the_default() {
    let mut drill = Drill::new(plan());
    drill.pass(5);
    drill.seen.workloads.primary = Readiness::Failed("deadline exceeded".into());
    drill.intend(Intent::Promote);
    drill.after(500);
    assert_eq!((drill.status.phase, drill.percent()), (Phase::Failed, 10));
    let desired = crate::desired(&drill.plan, &drill.status);
    assert_eq!(desired.default, serin_route::Track::Canary);
    drill.pass(30);
    assert_eq!(drill.run().stage, Stage::Failover);
    drill.seen.revision = "v3".into();
    drill.seen.workloads.primary = Readiness::Waiting;
    drill.pass(2);
    assert_eq!(drill.status.phase, Phase::Promoting);
    drill.seen.workloads.primary = Readiness::Ready;
    drill.pass(2);
    assert_eq!(drill.status.phase, Phase::Succeeded);
    assert_eq!(drill.status.promoted_revision.as_deref(), Some("v3"));
}

#[test]
fn initialisation_waits_for_primary_and_takes_over_what_it_runs() {
    let mut drill = Drill::new(plan());
    drill.status = Status::default();
    drill.seen.workloads.primary = Readiness::Waiting;
    drill.after(500);
    assert_eq!(drill.status.promoted_revision.as_deref(), Some("v2"));
    drill.seen.workloads.primary = Readiness::Ready;
    drill.seen.projection.applied = false;
    drill.after(500);
    assert_eq!(drill.status.phase, Phase::Initializing, "primary may have been made by half");
    drill.seen.projection.applied = true;
    drill.pass(60);
    assert_eq!(drill.status.phase, Phase::Initialized, "the first revision is no release");
    let mut takeover = Drill::new(plan());
    takeover.status = Status::default();
    takeover.after(500);
    assert_eq!(takeover.status.phase, Phase::Initialized);
    takeover.after(500);
    assert_eq!(takeover.status.phase, Phase::Progressing, "primary runs another revision");
}
