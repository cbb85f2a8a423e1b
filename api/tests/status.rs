//! Status: Flagger's words for its users' scripts, and everything that the next decision needs, without loss.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::json;
use serin_api::canary::{CanaryPhase, CanaryStatus};
use serin_api::{Canary, Problems};
use serin_rollout::{Phase, Run, Stage, Status};
use serin_route::Weight;

const T0: i64 = 1_790_000_000;

fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(T0 + second).unwrap()
}

fn run(phase: Phase, stage: Stage, weight: u16) -> Status {
    let run = Run {
        id: "0123456789abcdef".into(),
        revision: "v2".into(),
        started: at(0),
        weight: Weight::from_basis_points(weight).unwrap(),
        failed_checks: 2,
        iterations: 3,
        stage,
        ..Run::default()
    };
    Status {
        phase,
        run: Some(run),
        promoted_revision: Some("v1".into()),
        tried_revision: Some("v2".into()),
        ..Status::default()
    }
}

fn recorded(rollout: &Status) -> CanaryStatus {
    let mut status = CanaryStatus::default();
    status.record(rollout, "Deployment", at(0));
    status
}

/// Flagger's phases, the `Promoted` condition and its sentences.
#[test]
fn phases_and_conditions_are_flaggers() {
    let approval = "Waiting for approval.";
    for (phase, promoted, message) in [
        (Phase::Initializing, "Unknown", "New Deployment detected, starting initialization."),
        (Phase::Initialized, "True", "Deployment initialization completed."),
        (Phase::Waiting, "Unknown", approval),
        (Phase::Progressing, "Unknown", "New revision detected, progressing canary analysis."),
        (Phase::WaitingPromotion, "Unknown", approval),
        (
            Phase::Promoting,
            "Unknown",
            "Canary analysis completed, starting primary rolling update.",
        ),
        (
            Phase::Finalising,
            "Unknown",
            "Canary analysis completed, routing all traffic to primary.",
        ),
        (Phase::Succeeded, "True", "Canary analysis completed successfully, promotion finished."),
        (Phase::Failed, "False", "Canary analysis failed, Deployment scaled to zero."),
    ] {
        let status = recorded(&run(phase, Stage::Analysing, 500));
        let word = format!("{phase:?}");
        let written = serde_json::to_value(&status).unwrap();
        assert_eq!(written["phase"], word);
        assert_eq!(
            written["conditions"],
            json!([{
                "type": "Promoted", "status": promoted, "reason": word, "message": message,
                "lastUpdateTime": "2026-09-21T14:13:20Z",
                "lastTransitionTime": "2026-09-21T14:13:20Z",
            }])
        );
        assert!(written.get("observedGeneration").is_none(), "a GitOps tool would wait for it");
    }
}

#[test]
fn numbers_and_revisions_are_flaggers() {
    let status = recorded(&run(Phase::Progressing, Stage::Analysing, 500));
    assert_eq!((status.canary_weight, status.failed_checks, status.iterations), (5, 2, 3));
    assert_eq!(status.last_applied_spec.as_deref(), Some("v2"));
    assert_eq!(status.last_promoted_spec.as_deref(), Some("v1"));
    for (points, percent) in
        [(0, 0), (1, 1), (50, 1), (149, 1), (150, 2), (9_950, 99), (9_999, 99), (10_000, 100)]
    {
        let status = recorded(&run(Phase::Progressing, Stage::Analysing, points));
        assert_eq!(status.canary_weight, percent, "{points}");
    }
    let failover = recorded(&run(Phase::Failed, Stage::Failover, 0));
    assert_eq!(failover.canary_weight, 100);
    assert!(!failover.conditions[0].message.as_ref().unwrap().contains("scaled to zero"));
}

/// Times say when something changed, not when it was looked at.
#[test]
fn nothing_changes_where_nothing_happened() {
    let rollout = run(Phase::Progressing, Stage::Analysing, 500);
    let mut status = recorded(&rollout);
    let before = status.clone();
    status.record(&rollout, "Deployment", at(9));
    assert_eq!(status, before);
    let mut promoting = rollout;
    promoting.phase = Phase::Promoting;
    status.record(&promoting, "Deployment", at(9));
    let condition = &status.conditions[0];
    assert_eq!(condition.last_update_time.as_deref(), Some("2026-09-21T14:13:29Z"));
    // Still unknown whether it is promoted.
    assert_eq!(condition.last_transition_time, before.conditions[0].last_transition_time);
    assert_eq!(status.last_transition_time.as_deref(), Some("2026-09-21T14:13:29Z"));
}

/// The rollout's own status comes back as it was, through the object that a cluster stores.
#[test]
fn a_rollout_comes_back_as_it_was() {
    let rollout = run(Phase::WaitingPromotion, Stage::Analysing, 1234);
    let object = json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "a"},
        "spec": {"targetRef": {"name": "a"}, "analysis": {}},
        "status": recorded(&rollout),
    });
    let canary: Canary = serde_json::from_value(object.clone()).unwrap();
    assert_eq!(canary.status.as_ref().unwrap().rollout().unwrap(), Some(rollout));
    assert_eq!(serde_json::to_value(&canary).unwrap()["status"], object["status"]);
}

/// Flagger's status is kept when ours is recorded beside it, and tells nothing of a rollout before that.
#[test]
fn flaggers_status_is_taken_over() {
    let flaggers = json!({
        "phase": "Succeeded", "failedChecks": 1, "canaryWeight": 0, "iterations": -1,
        "previousSessionAffinityCookie": "c=1", "sessionAffinityCookie": "c=2",
        "primarySessionAffinityCookie": "p=1",
        "trackedConfigs": {"configmap/a": "6ee4de9bb7a3c0e4"},
        "lastAppliedSpec": "5f8fd4f546", "lastPromotedSpec": "5f8fd4f546",
        "lastTrackedRevision": "v2:8",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
        "conditions": [
            {"type": "Other", "status": "True", "reason": "x"},
            {"type": "Promoted", "status": "True", "reason": "Succeeded",
             "message": "Canary analysis completed successfully, promotion finished.",
             "lastUpdateTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"},
        ],
    });
    let mut status: CanaryStatus = serde_json::from_value(flaggers.clone()).unwrap();
    assert_eq!(serde_json::to_value(&status).unwrap(), flaggers);
    assert_eq!(status.rollout().unwrap(), None);
    let rollout = Status { phase: Phase::Initialized, ..Status::default() };
    status.record(&rollout, "Deployment", at(0));
    assert_eq!((status.phase, status.iterations), (CanaryPhase::Initialized, 0));
    assert_eq!(status.tracked_configs["configmap/a"], "6ee4de9bb7a3c0e4");
    assert_eq!(status.session_affinity_cookie.as_deref(), Some("c=2"));
    // What was true stays so since then; conditions of others stay where they are.
    let since = status.conditions[1].last_transition_time.as_deref();
    assert_eq!(since, Some("2026-01-01T00:00:00Z"));
    assert_eq!(status.conditions[0].kind, "Other");
    assert_eq!(status.rollout().unwrap(), Some(rollout));
}

/// Problems are told beside where the rollout stands, and go when it goes on.
#[test]
fn problems_are_told_and_go_again() {
    let rollout = run(Phase::Progressing, Stage::Analysing, 500);
    let mut status = recorded(&rollout);
    let mut problems = Problems::default();
    problems.add("spec.service", "is missing");
    status.refuse(&problems);
    let ours = serde_json::to_value(status.serin.as_ref().unwrap()).unwrap();
    assert_eq!(ours["problems"], json!([{"field": "spec.service", "message": "is missing"}]));
    assert_eq!(status.rollout().unwrap().as_ref(), Some(&rollout));
    status.record(&rollout, "Deployment", at(1));
    assert_eq!(status, recorded(&rollout));
}

/// Whatever stands there, the Canary can be read, and a person is told.
#[test]
fn a_broken_rollout_is_one_problem() {
    let status = json!({"serin": {"rollout": {"phase": "Flying"}}});
    let status: CanaryStatus = serde_json::from_value(status).unwrap();
    let problem = status.rollout().unwrap_err().to_string();
    assert!(problem.starts_with("status.serin.rollout: is no status of a rollout: "), "{problem}");
}
