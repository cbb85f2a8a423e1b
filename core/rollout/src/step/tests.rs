use std::collections::BTreeMap;
use std::time::Duration;

use serin_route::Weight;

use crate::fixture::{Drill, plan};
use crate::{
    Acknowledged, AdvanceGate, Check, CheckSource, Hook, HookKind, Intent, Mode, NoticeKind,
    Objective, OnInconclusive, Phase, Plan, Probe, Readiness, RoundResult, Schedule, ScheduleStep,
    Stage, Status, Value,
};

fn hook(kind: HookKind) -> Hook {
    Hook {
        name: "gatekeeper".into(),
        kind,
        url: "http://gate".into(),
        timeout: Duration::from_secs(10),
        retries: 0,
        metadata: BTreeMap::new(),
    }
}

fn hooked(kind: HookKind) -> Plan {
    Plan { hooks: vec![hook(kind)], ..plan() }
}

fn query() -> Check {
    Check {
        name: "latency of checkout".into(),
        source: CheckSource::Query { address: "http://prom".into(), query: "q".into() },
        interval: Duration::from_mins(1),
        min: None,
        max: Some(5.0),
    }
}

fn percents(drill: &mut Drill, seconds: i64) -> Vec<(i64, u16)> {
    let mut seen = Vec::new();
    for _ in 0..seconds * 2 {
        drill.after(500);
        if seen.last().is_none_or(|(_, percent)| *percent != drill.percent()) {
            seen.push((drill.ms / 1000, drill.percent()));
        }
    }
    seen
}

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
            "New revision detected! Scaling up app.shop",
            "Starting canary analysis for app.shop",
            "Advance app.shop canary weight 10",
            "Advance app.shop canary weight 50",
            "Copying app.shop template spec to app-primary.shop",
            "Routing all traffic to primary",
            "Promotion completed! Scaling down app.shop",
        ]
    );
    drill.pass(60);
    assert_eq!(drill.told.len(), 7, "nothing more happens");
}

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
fn checks_hold_without_data_and_add_up_when_they_fail() {
    let mut drill = Drill::new(Plan { checks: vec![query()], ..plan() });
    drill.answer = |_| Some(Ok(Value::NoData));
    drill.pass(60);
    assert_eq!((drill.percent(), drill.run().failed_checks), (10, 0));
    assert_eq!(drill.run().round_result, RoundResult::NoData);
    drill.answer = |_| Some(Ok(Value::Number(6.0)));
    drill.pass(10);
    assert_eq!((drill.status.phase, drill.run().failed_checks), (Phase::Progressing, 1));
    drill.answer = |_| Some(Ok(Value::Number(5.0)));
    drill.until(|drill| drill.percent() == 50);
    assert_eq!(drill.run().failed_checks, 1);
    drill.answer = |_| Some(Ok(Value::Number(f64::NAN)));
    drill.pass(30);
    drill.answer = |_| Some(Err("connection refused".into()));
    drill.pass(30);
    assert_eq!(drill.run().failed_checks, 1);
    drill.answer = |_| Some(Ok(Value::Number(5.1)));
    drill.pass(12);
    assert_eq!(drill.status.phase, Phase::Failed);
    let warned = drill.told(NoticeKind::Warning);
    assert_eq!(warned, ["Rolling back app.shop failed checks threshold reached 2"]);
    let failed = drill.told(NoticeKind::CheckFailed);
    assert_eq!(*failed.last().unwrap(), "Halt app.shop advancement latency of checkout 5.10 > 5");
}

#[test]
fn built_in_checks_use_the_filters_counts() {
    let check = |source, min, max| Check {
        name: "built in".into(),
        source,
        interval: Duration::from_secs(10),
        min,
        max,
    };
    let success = check(CheckSource::SuccessRate, Some(99.0), None);
    let duration = check(CheckSource::Duration99, None, Some(500.0));
    let mut forgiving = Plan { checks: vec![success, duration], threshold: 1, ..plan() };
    forgiving.evidence.guard = 1e5;
    let mut drill = Drill::new(forgiving);
    drill.pass(23);
    assert_eq!(drill.status.phase, Phase::Succeeded);
    let mut failing = Drill::new(drill.plan);
    failing.failing = (2, 0);
    failing.pass(12);
    assert_eq!(failing.status.phase, Phase::Failed);
    let failed = failing.told(NoticeKind::CheckFailed);
    assert_eq!(failed, ["Halt app.shop advancement success rate 98.00% < 99%"]);
}

#[test]
fn a_closed_gate_holds_and_is_told_once() {
    let mut drill = Drill::new(hooked(HookKind::ConfirmRollout));
    drill.answer = |_| Some(Err("403".into()));
    drill.pass(45);
    assert_eq!(drill.status.phase, Phase::Waiting);
    assert!(drill.status.run.is_none());
    assert_eq!(
        drill.told(NoticeKind::GateClosed),
        ["Halt app.shop advancement waiting for approval gatekeeper"]
    );
    drill.answer = |_| Some(Ok(Value::Approved));
    drill.pass(11);
    assert_eq!(drill.status.phase, Phase::Progressing);
}

#[test]
fn each_weight_and_the_promotion_may_need_approval() {
    let mut drill = Drill::new(hooked(HookKind::ConfirmTrafficIncrease));
    drill.answer = |_| Some(Err("403".into()));
    drill.pass(35);
    assert_eq!((drill.percent(), drill.run().failed_checks), (0, 0));
    drill.answer = |_| Some(Ok(Value::Approved));
    drill.pass(11);
    assert_eq!(drill.percent(), 10);
    let mut drill = Drill::new(hooked(HookKind::ConfirmPromotion));
    drill.answer = |_| Some(Err("403".into()));
    drill.pass(45);
    assert_eq!((drill.status.phase, drill.percent()), (Phase::WaitingPromotion, 50));
    drill.answer = |_| Some(Ok(Value::Approved));
    drill.pass(13);
    assert_eq!(drill.status.phase, Phase::Succeeded);
}

#[test]
fn pre_rollout_and_rollout_hooks_count_their_failures() {
    for (kind, weight) in [(HookKind::PreRollout, 0), (HookKind::Rollout, 10)] {
        let mut drill = Drill::new(hooked(kind));
        drill.answer = |_| Some(Err("no".into()));
        drill.pass(if weight > 0 { 14 } else { 4 });
        assert_eq!((drill.run().failed_checks, drill.percent()), (1, weight), "{kind:?}");
        drill.pass(10);
        assert_eq!(drill.status.phase, Phase::Failed, "{kind:?}");
    }
}

#[test]
fn a_rollback_hook_that_says_yes_rolls_back() {
    let mut drill = Drill::new(hooked(HookKind::Rollback));
    drill.answer = |_| Some(Err("no".into()));
    drill.pass(15);
    assert_eq!(drill.percent(), 50);
    drill.answer = |_| Some(Ok(Value::Approved));
    drill.pass(11);
    assert_eq!(drill.status.phase, Phase::Failed);
    assert!(drill.told(NoticeKind::Warning)[0].contains("manual webhook invoked"));
}

#[test]
fn post_rollout_hooks_are_called_once() {
    let mut drill = Drill::new(hooked(HookKind::PostRollout));
    drill.answer = |probe| match probe {
        Probe::Hook { phase: Phase::Succeeded, .. } => Some(Ok(Value::Approved)),
        _ => None,
    };
    drill.pass(30);
    let passed = drill.told(NoticeKind::CheckPassed);
    assert_eq!(passed, ["Post-rollout check gatekeeper passed"]);
    drill.ledger = crate::Ledger::default();
    drill.pass(5);
    assert!(drill.last.as_ref().unwrap().wants.is_empty());
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
fn initialisation_waits_for_primary_and_takes_over_what_it_runs() {
    let mut drill = Drill::new(plan());
    drill.status = Status::default();
    drill.seen.workloads.primary = Readiness::Waiting;
    drill.after(500);
    assert_eq!(drill.status.promoted_revision.as_deref(), Some("v2"));
    drill.seen.workloads.primary = Readiness::Ready;
    drill.pass(60);
    assert_eq!(drill.status.phase, Phase::Initialized, "the first revision is no release");
    let mut takeover = Drill::new(plan());
    takeover.status = Status::default();
    takeover.after(500);
    assert_eq!(takeover.status.phase, Phase::Initialized);
    takeover.after(500);
    assert_eq!(takeover.status.phase, Phase::Progressing, "primary runs another revision");
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
    assert_eq!(done, ["Promotion completed! Canary analysis was skipped for app.shop"]);
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
