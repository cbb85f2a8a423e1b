//! The schedule: weights, pauses, iterations, dwell, and what a person wants.

use super::*;

#[test]
fn a_healthy_release_is_promoted() {
    let mut drill = Drill::new(plan());
    let weights = percents(&mut drill, 23);
    assert_eq!(weights, [(0, 0), (1, 10), (11, 50), (21, 0)]);
    assert_eq!(drill.status.phase, Phase::Succeeded);
    assert_eq!(drill.status.promoted_revision.as_deref(), Some("v2"));
    assert_eq!(drill.run().stage, Stage::Settled);
    let messages: Vec<&str> = drill.told.iter().map(|notice| notice.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "New revision detected! Scaling up web.shop",
            "Starting canary analysis for web.shop",
            "Advance app.shop canary weight 10",
            "Advance app.shop canary weight 50",
            "Copying web.shop template spec to web-primary.shop",
            "Routing all traffic to primary",
            "Promotion completed! Scaling down web.shop",
        ]
    );
    drill.pass(60);
    assert_eq!(drill.told.len(), 7, "nothing more happens");
}

#[test]
fn a_pause_holds_the_weight_but_not_the_verdict() {
    let mut drill = Drill::new(plan());
    drill.pass(5);
    drill.intend(Intent::Pause);
    drill.pass(60);
    assert_eq!(drill.percent(), 10);
    drill.intend(Intent::Resume);
    assert_eq!(drill.percent(), 50);
    drill.intend(Intent::Pause);
    drill.failing = (30, 0);
    drill.pass(60);
    assert_eq!(drill.status.phase, Phase::Failed);
}

#[test]
fn a_pause_in_the_schedule_lasts_its_time_or_until_a_person_resumes() {
    let weight = |percent| ScheduleStep::SetWeight(Weight::from_percent(percent));
    let timed = ScheduleStep::Pause(Some(Duration::from_secs(30)));
    let steps = vec![weight(10), timed, weight(20), ScheduleStep::Pause(None), weight(30)];
    let mut drill = Drill::new(Plan { schedule: Schedule::Steps(steps), ..plan() });
    let weights = percents(&mut drill, 120);
    assert_eq!(weights, [(0, 0), (1, 10), (41, 20)]);
    drill.intend(Intent::Resume);
    assert_eq!(drill.percent(), 30);
    drill.pass(12);
    assert_eq!(drill.status.phase, Phase::Succeeded);
}

#[test]
fn promote_skips_the_rest_and_retry_tries_again() {
    let mut drill = Drill::new(plan());
    drill.pass(3);
    drill.intend(Intent::Abort);
    drill.pass(3);
    drill.intend(Intent::Retry);
    assert_eq!(drill.status.phase, Phase::Progressing);
    drill.pass(3);
    drill.intend(Intent::Promote);
    assert_eq!(drill.status.phase, Phase::Promoting);
    drill.pass(2);
    assert_eq!(drill.status.phase, Phase::Succeeded);
}

#[test]
fn ab_and_blue_green_count_iterations() {
    let mut ab = Drill::new(Plan { schedule: Schedule::Ab { iterations: 3 }, ..plan() });
    assert_eq!(percents(&mut ab, 33), [(0, 0), (1, 100), (31, 0)]);
    assert_eq!(ab.told(NoticeKind::Advanced).len(), 3);
    assert_eq!(ab.status.phase, Phase::Succeeded);
    let schedule = Schedule::BlueGreen { iterations: 2 };
    let mut blue_green = Drill::new(Plan { schedule, ..plan() });
    assert_eq!(percents(&mut blue_green, 33), [(0, 0), (21, 100), (31, 0)]);
    assert_eq!(
        blue_green.told(NoticeKind::Advanced),
        [
            "Advance app.shop canary iteration 1/2",
            "Advance app.shop canary iteration 2/2",
            "Routing all traffic to canary",
        ]
    );
    assert_eq!(blue_green.status.phase, Phase::Succeeded);
}

#[test]
fn the_longest_dwell_is_extended_once_then_the_policy_decides() {
    for (policy, phase) in [
        (OnInconclusive::Hold, Phase::Progressing),
        (OnInconclusive::Promote, Phase::Succeeded),
        (OnInconclusive::Rollback, Phase::Failed),
    ] {
        let mut slow = plan();
        slow.evidence.dwell_max = Duration::from_secs(30);
        slow.evidence.gate = AdvanceGate::Pass;
        slow.evidence.objectives = vec![Objective::ErrorRate(1e-6)];
        slow.evidence.on_inconclusive = policy;
        let mut drill = Drill::new(slow);
        drill.pass(55);
        assert_eq!((drill.status.phase, drill.percent()), (Phase::Progressing, 10));
        drill.pass(80);
        assert_eq!(drill.status.phase, phase, "{policy:?}");
        let held = drill.told(NoticeKind::Held);
        assert!(held.iter().any(|message| message.contains("is extended once")), "{held:?}");
    }
}

#[test]
fn pass_evidence_delays_an_advance_until_it_is_there() {
    let mut proven = plan();
    proven.evidence.gate = AdvanceGate::Pass;
    proven.evidence.objectives = vec![Objective::ErrorRate(0.01)];
    let mut drill = Drill::new(proven);
    drill.pass(30);
    assert_eq!(drill.percent(), 10);
    let waits_for = &drill.last.as_ref().unwrap().verdict.as_ref().unwrap().waits_for;
    assert!(waits_for[0].contains("more good requests"), "{waits_for:?}");
    drill.pass(12);
    assert_eq!(drill.percent(), 50, "358 good requests at 10 rps");
}

#[test]
fn skipped_analysis_promotes_as_soon_as_the_canary_is_ready() {
    let mut drill = Drill::new(Plan { skip_analysis: true, ..plan() });
    drill.seen.workloads.canary = Readiness::Waiting;
    drill.pass(20);
    assert_eq!(drill.status.phase, Phase::Progressing);
    drill.seen.workloads.canary = Readiness::Ready;
    drill.pass(3);
    assert_eq!(drill.status.phase, Phase::Succeeded);
    let done = drill.told(NoticeKind::Promoted);
    assert_eq!(done, ["Promotion completed! Canary analysis was skipped for web.shop"]);
}

#[test]
fn an_edited_plan_is_another_generation() {
    let mut drill = Drill::new(plan());
    drill.pass(3);
    let before = drill.run().generation;
    drill.plan.routing.grpc = true;
    drill.after(500);
    assert_eq!(drill.run().generation, before + 1);
    drill.after(500);
    assert_eq!(drill.run().generation, before + 1);
}

#[test]
fn an_idle_release_sleeps_and_a_live_one_wakes_when_something_is_due() {
    let mut drill = Drill::new(plan());
    drill.pass(30);
    assert_eq!(drill.last.as_ref().unwrap().wake, Duration::from_hours(1));
    drill.seen.revision = "v3".into();
    drill.pass(2);
    drill.after(8_700);
    let left = drill.last.as_ref().unwrap().wake;
    assert!(left <= Duration::from_millis(500), "{left:?}");
}

#[test]
fn an_abort_takes_one_step_even_when_nothing_is_applied() {
    let mut drill = Drill::new(plan());
    drill.pass(5);
    drill.seen.projection.applied = false;
    drill.intend(Intent::Abort);
    assert_eq!((drill.status.phase, drill.percent()), (Phase::Failed, 0));
    let desired = crate::desired(&drill.plan, &drill.status);
    assert!(!desired.canary_route && desired.canary_runs);
    drill.intend(Intent::Abort);
    assert_eq!(drill.run().stage, Stage::Ending, "the filters do not show it yet");
    drill.seen.projection.applied = true;
    drill.after(100);
    assert_eq!(drill.run().stage, Stage::Settled);
    assert_eq!(drill.told(NoticeKind::RolledBack).len(), 1);
}

#[test]
fn nothing_advances_past_an_unapplied_or_unacknowledged_projection() {
    let mut drill = Drill::new(plan());
    drill.seen.projection.acknowledged = Acknowledged::No;
    drill.pass(60);
    assert_eq!(drill.percent(), 0);
    drill.seen.projection.acknowledged = Acknowledged::Overdue;
    drill.seen.traffic.heard = 0;
    drill.after(500);
    assert_eq!(drill.percent(), 10);
    assert_eq!(drill.told(NoticeKind::Warning).len(), 1);
    drill.seen.projection.applied = false;
    drill.pass(60);
    assert_eq!(drill.percent(), 10);
}

#[test]
fn where_evidence_gates_an_advance_silence_holds() {
    let mut proven = plan();
    proven.evidence.gate = AdvanceGate::Pass;
    proven.evidence.objectives = vec![Objective::ErrorRate(0.9)];
    let mut drill = Drill::new(proven);
    drill.pass(10);
    drill.heard = 0;
    drill.pass(30);
    assert_eq!(drill.percent(), 10);
    drill.heard = 1;
    drill.pass(1);
    assert_eq!(drill.percent(), 50);
}
