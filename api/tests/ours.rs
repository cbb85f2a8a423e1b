//! What our own fields mean, and that what the documentation shows is right.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::time::Duration;

use common::{file, plan_of, problems_of};
use serin_api::{local_problems, read};
use serin_rollout::{
    AdvanceGate, Evidence, Mode, Objective, OnInconclusive, QuarantineWeight, Schedule,
    ScheduleStep,
};
use serin_route::{Condition, KeySource, Subject, Test, Weight};

fn weight(basis_points: u16) -> ScheduleStep {
    ScheduleStep::SetWeight(Weight::from_basis_points(basis_points).unwrap())
}

#[test]
fn steps_are_weights_and_pauses() {
    let plan = plan_of(&file(
        "steps:\n- setWeight: 0.5\n- pause: {duration: 30s}\n- setWeight: 10\n- pause: {}\n\
         - setWeight: 33.33\n- setWeight: 100\n",
        "",
    ));
    let pause = |seconds| ScheduleStep::Pause(Some(Duration::from_secs(seconds)));
    let steps = vec![
        weight(50),
        pause(30),
        weight(1000),
        ScheduleStep::Pause(None),
        weight(3333),
        weight(10_000),
    ];
    assert_eq!(plan.schedule, Schedule::Steps(steps));
}

#[test]
fn evidence_is_left_to_the_verdicts_defaults_or_set() {
    let plan = plan_of(&file("stepWeights: [5]", ""));
    let default = Evidence { gate: AdvanceGate::Traffic, ..Evidence::default() };
    assert_eq!(plan.evidence, default);
    let slow = plan_of(&file("stepWeights: [5]\ninterval: 1h", ""));
    assert_eq!(slow.evidence.dwell_max, Duration::from_hours(3));
    let plan = plan_of(&file(
        "stepWeights: [5]\nevidence:\n  mode: observe\n  alphaQuarantine: 0.1\n  \
         alphaRollback: 0.01\n  alphaPass: 0.02\n  guard: 2\n  errorFloor: 0.2\n  \
         latencyFloor: 3\n  block: 30s\n  latencyWarmup: 0s\n  maxDwell: 5m\n  \
         onInconclusive: rollback\n  quarantine: zero\n  objectives:\n    errorRate: 1\n    \
         latency:\n    - {threshold: 500ms, percentile: 99}\n    \
         - {threshold: 1.25s, percentile: 99.9}",
        "",
    ));
    let expected = Evidence {
        mode: Mode::Observe,
        alpha_quarantine: 0.1,
        alpha_rollback: 0.01,
        alpha_pass: 0.02,
        guard: 2.0,
        error_floor: 0.002,
        latency_floor: 0.03,
        block: Some(Duration::from_secs(30)),
        latency_warmup: Duration::ZERO,
        objectives: vec![
            Objective::ErrorRate(0.01),
            Objective::Latency { threshold_ms: 500, over: 0.01 },
            Objective::Latency { threshold_ms: 1250, over: 0.001 },
        ],
        gate: AdvanceGate::Pass,
        dwell_max: Duration::from_mins(5),
        on_inconclusive: OnInconclusive::Rollback,
        quarantine: QuarantineWeight::Zero,
    };
    assert_eq!(plan.evidence, expected);
    let edges = plan.routing.edges_ms;
    assert!(edges.contains(&500) && edges.contains(&1250) && edges.is_sorted());
    assert_eq!((edges.len(), edges[0], edges[33]), (34, 1, 65_536));
    let checks = "stepWeights: [5]\nevidence: {gate: checks, objectives: {errorRate: 1}}";
    assert_eq!(plan_of(&file(checks, "")).evidence.gate, AdvanceGate::Checks);
}

#[test]
fn keys_routes_and_cookies_reach_the_filter() {
    let plan = plan_of(&file(
        "stepWeights: [5]\nuserKey: [{header: X-User}, {cookie: session}, {requestId: {}}]\n\
         match: [{cookies: {beta: {}}, queryParams: {v: {prefix: '2'}}}]\n\
         routes:\n- name: checkout\n  match: [{path: {prefix: /checkout}, method: {exact: POST}}]",
        "",
    ));
    let routing = plan.routing;
    let cookie = KeySource::Cookie("session".to_owned());
    assert_eq!(
        routing.keys,
        [KeySource::Header("x-user".to_owned()), cookie, KeySource::RequestId]
    );
    let condition = |of, is| Condition { of, is };
    let exact = Test::Exact("POST".to_owned());
    let prefix = Test::Prefix("/checkout".to_owned());
    let when = [condition(Subject::Path, prefix), condition(Subject::Method, exact)];
    assert_eq!(
        (routing.routes[0].name.as_str(), &routing.routes[0].when[..]),
        ("checkout", &when[..])
    );
    let v2 = condition(Subject::Query("v".to_owned()), Test::Prefix("2".to_owned()));
    let beta = condition(Subject::Cookie("beta".to_owned()), Test::Present);
    assert_eq!(routing.rules[0].when, [beta, v2]);
}

/// Files that tools write: other line ends, a byte order mark, what a cluster adds.
#[test]
fn files_come_from_many_tools() {
    let plain = file("stepWeights: [5]", "");
    let expected = plan_of(&plain);
    assert_eq!(plan_of(&plain.replace('\n', "\r\n")), expected);
    assert_eq!(plan_of(&format!("\u{feff}{plain}")), expected);
    assert_eq!(plan_of(&format!("---\n{plain}...\n---\n")), expected);
    let added = "metadata:\n  uid: x\n  generation: 3\n  creationTimestamp: null\n  managedFields: \
                 [{manager: kubectl, fieldsV1: {}}]\n";
    let from_cluster = plain.replace("metadata:\n", added)
        + "status: {phase: Progressing, canaryWeight: 5, new: [1]}\n";
    assert_eq!(plan_of(&from_cluster), expected);
    let anchored = plain
        .replace("[5]", "&w [5]\n    threshold: 2")
        .replace("threshold: 2", "<<: {threshold: 2}");
    assert_eq!(plan_of(&anchored).threshold, 2);
}

/// A file that is small and would be large, or deep.
#[test]
fn files_cannot_exhaust_the_reader() {
    let level = |level: usize| {
        let items = vec![format!("*a{}", level - 1); 9].join(", ");
        format!("a{level}: &a{level} [{items}]\n")
    };
    let levels = (1..12).map(level).collect::<String>();
    let bomb = format!("a0: &a0 [x, x, x, x, x, x, x, x, x]\n{levels}");
    for text in [bomb, "[".repeat(100_000), "- ".repeat(50_000), "{a: ".repeat(50_000)] {
        let problems = problems_of(&text);
        assert!(problems[0].starts_with(": is no YAML: "), "{problems:?}");
        assert!(problems[0].len() < 1000, "{problems:?}");
    }
    let large = format!("#{}", "x".repeat(4 << 20));
    assert_eq!(problems_of(&large), [": at most 3145728 bytes are allowed, not 4194305"]);
}

/// Every whole Canary that the documentation shows means something, and `serin local` honours all of it.
#[test]
fn documented_canaries_are_right() {
    let mut seen = 0;
    for name in ["docs/canary.md", "README.md"] {
        let path = format!("{}/../{name}", env!("CARGO_MANIFEST_DIR"));
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let blocks = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
        for block in blocks.filter(|block| block.contains("kind: Canary")) {
            let objects = read(block).unwrap_or_else(|problems| panic!("{name}:\n{problems}"));
            objects.plan().unwrap_or_else(|problems| panic!("{name}:\n{problems}"));
            assert_eq!(
                local_problems(&objects.canary, &objects.templates).to_string(),
                "",
                "{name}"
            );
            seen += 1;
        }
    }
    assert!(seen > 0, "no document shows a Canary");
}
