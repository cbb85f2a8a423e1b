//! What evidence does to a release.

use super::*;

#[test]
fn a_failing_canary_is_quarantined_then_rolled_back() {
    let mut drill = Drill::new(plan());
    drill.failing = (30, 0);
    drill.pass(4);
    assert!(drill.run().quarantine.is_some());
    assert!((5..=7).contains(&drill.percent()), "five requests per second of a hundred");
    drill.pass(10);
    assert_eq!((drill.status.phase, drill.percent()), (Phase::Failed, 0));
    assert_eq!(drill.told(NoticeKind::Quarantined).len(), 1);
    let end = drill.told.last().unwrap();
    assert_eq!(end.message, "Canary failed! Scaling down app.shop");
    assert_eq!(end.verdict.as_ref().unwrap().reason, "ErrorRate");
    drill.pass(60);
    assert_eq!(drill.status.phase, Phase::Failed, "the revision is not tried again");
    assert_eq!(drill.run().stage, Stage::Settled);
}

#[test]
fn an_outage_of_both_tracks_convicts_nobody() {
    let mut drill = Drill::new(plan());
    drill.failing = (50, 50);
    drill.pass(23);
    assert_eq!(drill.status.phase, Phase::Succeeded);
    assert!(drill.told(NoticeKind::Quarantined).is_empty());
}

#[test]
fn an_objective_breached_by_both_tracks_holds_and_by_the_canary_alone_rolls_back() {
    let mut strict = plan();
    strict.evidence.objectives = vec![Objective::ErrorRate(0.01)];
    strict.evidence.guard = 1e5;
    let mut shared = Drill::new(strict.clone());
    shared.failing = (50, 50);
    shared.pass(60);
    assert_eq!((shared.status.phase, shared.percent()), (Phase::Progressing, 50));
    let text = &shared.last.as_ref().unwrap().verdict.as_ref().unwrap().text;
    assert!(text.contains("primary to keep its objectives too"), "{text}");
    let mut alone = Drill::new(strict);
    alone.failing = (20, 0);
    alone.pass(40);
    assert_eq!(alone.status.phase, Phase::Failed);
    assert_eq!(alone.run().verdict.as_ref().unwrap().reason, "Objective");
}

#[test]
fn observation_only_tells() {
    let mut observed = plan();
    observed.evidence.mode = Mode::Observe;
    let mut drill = Drill::new(observed);
    drill.failing = (30, 0);
    drill.pass(30);
    assert_eq!(drill.status.phase, Phase::Succeeded);
    assert_eq!(
        drill.told(NoticeKind::Warning),
        [
            "app.shop would be quarantined (ErrorRate), but is only observed",
            "app.shop would be rolled back (ErrorRate), but is only observed",
        ]
    );
}

#[test]
fn quarantine_is_left_once_when_the_evidence_is_gone() {
    let mut drill = Drill::new(plan());
    drill.failing = (10, 0);
    drill.pass(6);
    assert!(drill.run().quarantine.is_some());
    drill.failing = (0, 0);
    for _ in 0..240 {
        drill.pass(5);
        if drill.run().quarantine.is_none() {
            break;
        }
    }
    assert!(drill.run().quarantined_before, "{:?}", drill.last.as_ref().unwrap().verdict);
    assert_eq!(drill.percent(), 10);
    assert_eq!(drill.told(NoticeKind::Released).len(), 1);
}

#[test]
fn blocks_are_longer_where_one_pod_may_be_the_fault() {
    for (pods, seconds) in [(2, 14), (1, 34)] {
        let mut drill = Drill::new(plan());
        drill.failing = (30, 0);
        drill.seen.workloads.canary = Readiness::Waiting;
        drill.seen.workloads.canary_pods = 0;
        drill.pass(5);
        drill.seen.workloads.canary = Readiness::Ready;
        drill.seen.workloads.canary_pods = pods;
        drill.pass(seconds - 4);
        assert_eq!(drill.status.phase, Phase::Progressing, "{pods}");
        drill.pass(4);
        assert_eq!(drill.status.phase, Phase::Failed, "{pods}");
    }
}

#[test]
fn a_gate_does_not_pass_for_want_of_traffic() {
    let mut unseen = plan();
    unseen.evidence.gate = AdvanceGate::Pass;
    unseen.evidence.objectives = vec![Objective::ErrorRate(0.01)];
    let mut drill = Drill::new(unseen);
    drill.pass(3);
    drill.seen.traffic = crate::Traffic::default();
    drill.ledger = crate::Ledger::default();
    for _ in 0..60 {
        drill.seen.traffic = crate::Traffic::default();
        drill.after(0);
        drill.ms += 1_000;
    }
    assert_eq!(drill.percent(), 10);
}
