//! Hooks, gates and classical checks.

use super::*;

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
    let steps = (0..12).map(|_| failing.after(1000).measures.clone());
    let measured = steps.filter(|it| !it.is_empty()).last().unwrap();
    assert_eq!(failing.status.phase, Phase::Failed);
    let failed = failing.told(NoticeKind::CheckFailed);
    assert_eq!(failed, ["Halt app.shop advancement success rate 98.00% < 99%"]);
    let [(0, rate), (1, millis)] = measured[..] else { panic!("{measured:?}") };
    assert!((rate - 98.0).abs() < 0.01 && millis <= 500.0, "{rate} {millis}");
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

/// The phases that hooks of a kind are told, in order, each once.
fn phases(kind: HookKind, answer: fn(&Probe) -> Option<Result<Value, String>>) -> Vec<Phase> {
    let mut drill = Drill::new(hooked(kind));
    drill.answer = answer;
    let mut phases = Vec::new();
    for _ in 0..90 {
        for probe in &drill.after(500).wants {
            let Probe::Hook { phase, .. } = probe else { continue };
            if phases.last() != Some(phase) {
                phases.push(*phase);
            }
        }
    }
    phases
}

#[test]
fn hooks_are_told_the_phases_that_flaggers_are() {
    let no: fn(&Probe) -> _ = |_| Some(Err("no".into()));
    let yes: fn(&Probe) -> _ = |_| Some(Ok(Value::Approved));
    assert_eq!(phases(HookKind::ConfirmRollout, no), [Phase::Initialized, Phase::Waiting]);
    assert_eq!(phases(HookKind::ConfirmPromotion, no), [Phase::Progressing]);
    assert_eq!(phases(HookKind::Rollout, yes), [Phase::Progressing]);
    assert_eq!(phases(HookKind::PostRollout, yes), [Phase::Succeeded]);
}

#[test]
fn what_was_said_of_another_revision_or_by_another_hook_opens_no_gate() {
    let mut plan = hooked(HookKind::PreRollout);
    plan.hooks.push(Hook { name: "second".into(), ..hook(HookKind::PreRollout) });
    let mut drill = Drill::new(plan);
    drill.answer = |probe| match probe {
        Probe::Hook { index: 0, .. } => Some(Ok(Value::Approved)),
        _ => None,
    };
    drill.pass(3);
    let wanted = |drill: &mut Drill| match drill.after(100).wants.as_slice() {
        [Probe::Hook { index, .. }] => *index,
        wants => panic!("{wants:?}"),
    };
    assert_eq!(wanted(&mut drill), 1);
    drill.plan.hooks[0].url = "http://elsewhere".into();
    assert_eq!(wanted(&mut drill), 0);
}
