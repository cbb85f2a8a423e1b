//! What evidence does to a release.

use serin_route::{Assignment, RoutePattern, Track};

use super::*;
use crate::{AdvanceGate, KeyedTraffic, Sample};

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
fn the_quarantine_floor_follows_the_rate_down() {
    let mut drill = Drill::new(plan());
    drill.failing = (30, 0);
    drill.after(500);
    drill.until(|drill| drill.run().quarantine.is_some());
    let early = drill.run().weight;
    drill.rate = 5;
    drill.pass(6);
    assert!(drill.run().quarantine.is_some());
    assert!(drill.run().weight < early, "{early} at first, {} later", drill.run().weight);
    assert_eq!(drill.told(NoticeKind::Held).len(), 2, "told beside the start of the analysis");
}

#[test]
fn the_first_weight_speaks_of_no_evidence() {
    let mut drill = Drill::new(plan());
    drill.after(500);
    drill.until(|drill| drill.percent() == 10);
    let advanced = drill.told.last().unwrap();
    assert_eq!((advanced.kind, &advanced.verdict), (NoticeKind::Advanced, &None));
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
fn a_second_quarantine_is_a_rollback() {
    let mut drill = Drill::new(plan());
    drill.pass(2);
    drill.status.run.as_mut().unwrap().quarantined_before = true;
    drill.failing = (30, 0);
    drill.until(|drill| drill.status.phase == Phase::Failed);
    assert!(drill.told(NoticeKind::Quarantined).is_empty());
    let verdict = drill.run().verdict.clone().unwrap();
    assert!(verdict.text.contains("Rolling back") || verdict.reason == "ErrorRate", "{verdict:?}");
    let mut first = Drill::new(plan());
    first.pass(2);
    first.failing = (30, 0);
    first.until(|drill| drill.run().quarantine.is_some());
    assert_eq!(drill.ms, first.ms, "as soon as the first time it would have been cut");
}

#[test]
fn quarantine_is_left_once_only() {
    let mut drill = Drill::new(plan());
    drill.failing = (10, 0);
    drill.pass(6);
    assert!(drill.run().quarantine.is_some());
    drill.status.run.as_mut().unwrap().quarantined_before = true;
    drill.failing = (0, 0);
    drill.pass(1200);
    assert!(drill.ledger.ln_e() < 0.0, "the evidence is gone");
    assert!(drill.run().quarantine.is_some());
    assert!(drill.told(NoticeKind::Released).is_empty());
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

#[test]
fn only_what_was_drawn_is_compared() {
    for assignment in [
        |cell: &mut crate::fixture::Cell| cell.assignment = Assignment::Rule,
        |cell: &mut crate::fixture::Cell| cell.assignment = Assignment::Direct,
        |cell: &mut crate::fixture::Cell| cell.assignment = Assignment::Sticky,
    ] {
        let mut drill = Drill::new(plan());
        drill.shape = assignment;
        drill.failing = (30, 0);
        drill.pass(9);
        assert_eq!(drill.percent(), 10);
        drill.pass(14);
        assert_eq!(drill.status.phase, Phase::Succeeded);
        assert!(drill.told(NoticeKind::Quarantined).is_empty());
    }
}

#[test]
fn traffic_sent_by_a_rule_is_judged_against_objectives_and_a_users_requests_are_not() {
    let mut promised = plan();
    promised.schedule = Schedule::Ab { iterations: 9 };
    promised.evidence.objectives = vec![Objective::ErrorRate(0.01)];
    let mut ruled = Drill::new(promised.clone());
    ruled.shape = |cell| cell.assignment = Assignment::Rule;
    ruled.failing = (30, 0);
    ruled.pass(25);
    assert_eq!(ruled.run().verdict.as_ref().unwrap().reason, "Objective");
    let mut sticky = Drill::new(promised);
    sticky.shape = |cell| cell.assignment = Assignment::Sticky;
    sticky.failing = (30, 0);
    sticky.pass(25);
    assert_eq!(sticky.status.phase, Phase::Progressing);
}

#[test]
fn a_users_requests_vouch_for_nothing_and_speak_against_it() {
    let mut promised = plan();
    promised.evidence.objectives = vec![Objective::ErrorRate(0.01)];
    promised.evidence.gate = AdvanceGate::Pass;
    let mut sticky = Drill::new(promised.clone());
    sticky.shape = |cell| cell.assignment = Assignment::Sticky;
    sticky.pass(120);
    assert_eq!(sticky.percent(), 10);
    let mut drawn = Drill::new(promised);
    drawn.rate = 10;
    drawn.pass(60);
    assert_eq!(drawn.status.phase, Phase::Succeeded);

    let mut users = Drill::new(drawn.plan.clone());
    users.rate = 10;
    users.pass(1);
    for _ in 0..60 {
        let counts = users.seen.traffic.generations.last_mut().unwrap();
        if !counts.cells.iter().any(|cell| cell.assignment == Assignment::Sticky) {
            let failing = crate::fixture::cell(Track::Canary, 100, 50);
            counts.cells.push(crate::fixture::Cell { assignment: Assignment::Sticky, ..failing });
        }
        users.pass(1);
    }
    assert_eq!(users.percent(), 10, "half of what users asked for failed");
}

#[test]
fn users_are_units() {
    let mut drill = Drill::new(plan());
    drill.pass(2);
    for second in 1..15 {
        let users =
            |track, at_risk, failed| KeyedTraffic { track, at_risk, failed, overflow: false };
        let counts = drill.seen.traffic.generations.last_mut().unwrap();
        counts.keyed =
            vec![users(Track::Canary, 5 * second, second), users(Track::Primary, 45 * second, 0)];
        drill.pass(1);
    }
    assert_eq!(drill.status.phase, Phase::Failed);
    assert_eq!(drill.run().verdict.as_ref().unwrap().reason, "ErrorRate");
}

fn slow(cell: &mut crate::fixture::Cell) {
    let place = if cell.track == Track::Canary { 4 } else { 1 };
    cell.latency.done = vec![0; 5];
    cell.latency.done[place] = cell.requests;
}

#[test]
fn a_slow_canary_is_out_once_it_is_warm() {
    let mut cold = plan();
    cold.evidence.latency_warmup = Duration::from_secs(8);
    let mut drill = Drill::new(cold);
    drill.shape = slow;
    drill.pass(8);
    assert_eq!(drill.percent(), 10);
    assert!(drill.run().quarantine.is_none());
    drill.pass(3);
    assert!(drill.run().quarantine.is_some());
    drill.pass(14);
    let verdict = drill.run().verdict.clone().unwrap();
    assert_eq!((drill.status.phase, verdict.reason.as_str()), (Phase::Failed, "Latency"));
    assert!(verdict.text.contains("latency over"), "{}", verdict.text);
    let Sample { exposed, bad, .. } = verdict.canary;
    assert!(bad > 0 && verdict.text.contains(&format!("({bad}/{exposed})")), "{verdict:?}");
}

#[test]
fn the_route_that_fails_is_named() {
    let mut routed = plan();
    let route = |name: &str| RoutePattern { name: name.into(), when: vec![] };
    routed.routing.routes = vec![route("cart"), route("search")];
    let mut drill = Drill::new(routed);
    drill.pass(1);
    for second in 1..25 {
        drill.after(1_000);
        if drill.run().is_over() {
            break;
        }
        let generation = drill.run().generation;
        let mut counts = crate::fixture::traffic(generation, (0, 0), (0, 0)).generations.remove(0);
        counts.cells = [("cart", 1, 0), ("search", 9, 0)]
            .into_iter()
            .flat_map(|(name, requests, primary)| {
                let failed = if name == "cart" { second } else { 0 };
                let mut canary = crate::fixture::cell(Track::Canary, requests * second, failed);
                let mut primary = crate::fixture::cell(Track::Primary, 90 * second, primary);
                canary.route = Some(name.into());
                primary.route = Some(name.into());
                [canary, primary]
            })
            .collect();
        drill.seen.traffic.generations = vec![counts];
    }
    let verdict = drill.run().verdict.clone().unwrap();
    assert_eq!(drill.status.phase, Phase::Failed);
    let leading = verdict.leading.unwrap();
    assert_eq!((leading.metric.as_str(), leading.route.as_deref()), ("errors", Some("cart")));
}

#[test]
fn evidence_that_was_lost_lets_no_suspect_go() {
    let mut drill = Drill::new(plan());
    drill.failing = (30, 0);
    drill.pass(4);
    drill.failing = (0, 0);
    drill.ledger = crate::Ledger::default();
    drill.seen.traffic = crate::Traffic::default();
    drill.pass(120);
    assert_eq!(drill.status.phase, Phase::Progressing);
    assert!(drill.run().quarantine.is_some());
    drill.intend(Intent::Resume);
    assert!(drill.run().quarantine.is_some(), "too early for a person to be asked");
    drill.until(|drill| drill.run().dwell == crate::Dwell::Expired);
    drill.intend(Intent::Resume);
    assert!(drill.run().quarantine.is_none() && drill.run().quarantined_before);
    assert_eq!(drill.percent(), 10);
}

#[test]
fn ours_wait_for_traffic_and_reports() {
    let mut untried = plan();
    untried.evidence.gate = AdvanceGate::Traffic;
    let mut silent = Drill::new(untried.clone());
    silent.rate = 0;
    silent.pass(60);
    assert_eq!((silent.status.phase, silent.percent()), (Phase::Progressing, 10));
    let text = &silent.last.as_ref().unwrap().verdict.as_ref().unwrap().text;
    assert!(text.contains("a request that the canary serves"), "{text}");
    silent.rate = 1;
    silent.pass(30);
    assert_eq!(silent.status.phase, Phase::Succeeded);
    let mut unheard = Drill::new(untried);
    unheard.heard = 0;
    unheard.pass(60);
    assert_eq!((unheard.status.phase, unheard.percent()), (Phase::Progressing, 10));
}

#[test]
fn an_edit_of_what_no_test_counts_keeps_the_evidence() {
    let mut drill = Drill::new(plan());
    drill.failing = (30, 0);
    for second in 0..20 {
        drill.plan.evidence.dwell_max = std::time::Duration::from_secs(600 + second);
        drill.pass(1);
    }
    assert_eq!(drill.status.phase, Phase::Failed);
}

#[test]
fn one_users_requests_trip_no_breaker() {
    let mut drill = Drill::new(plan());
    drill.failing = (100, 0);
    drill.shape = |cell| cell.assignment = Assignment::Sticky;
    drill.pass(60);
    assert!(drill.told(NoticeKind::Quarantined).is_empty());
    assert_eq!(drill.status.phase, Phase::Succeeded);
}

#[test]
fn what_primary_shares_does_not_hide_that_the_canary_is_worse() {
    let mut strict = plan();
    strict.evidence.objectives = vec![Objective::ErrorRate(0.01)];
    let mut drill = Drill::new(strict);
    drill.failing = (40, 8);
    drill.until(|drill| !drill.told(NoticeKind::Quarantined).is_empty());
    drill.until(|drill| drill.status.phase == Phase::Failed);
    assert_ne!(drill.run().verdict.as_ref().unwrap().reason, "Objective");
}
