//! What Flagger's users have written already keeps its meaning.

mod common;

use std::time::Duration;

use common::{file, flagger_file, plan_of};
use serin_api::Group;
use serin_api::canary::CanaryPhase;
use serin_rollout::{CheckSource, HookKind, Plan, Schedule, ScheduleStep};
use serin_route::{Otherwise, SameSite, Secure, Subject, Test, Then, Weight};

const RECIPE: &str = include_str!("../golden/recipe-backend.yaml");
const FRONTEND: &str = include_str!("../golden/recipe-frontend.yaml");

fn weights(plan: &Plan) -> Vec<u16> {
    let Schedule::Steps(steps) = &plan.schedule else { panic!("{:?}", plan.schedule) };
    let weight = |step: &ScheduleStep| match step {
        ScheduleStep::SetWeight(weight) => Some(weight.basis_points() / 100),
        ScheduleStep::Pause(_) => None,
    };
    steps.iter().filter_map(weight).collect()
}

/// The weight sequences that Flagger's own tests assert.
#[test]
fn weights_step_as_flaggers_do() {
    for (analysis, expected) in [
        ("{stepWeight: 20, maxWeight: 50}", vec![20, 40, 60]),
        ("{stepWeight: 50, maxWeight: 100}", vec![50, 100]),
        ("{stepWeight: 50}", vec![50, 100]),
        ("{stepWeight: 30, maxWeight: 0}", vec![30, 60, 90, 100]),
        ("{stepWeight: 5, maxWeight: 50}", (1..=10).map(|step| step * 5).collect()),
        ("{stepWeight: 100, maxWeight: 1}", vec![100]),
        ("{stepWeights: [1, 2, 10, 80]}", vec![1, 2, 10, 80]),
        ("{stepWeights: [1, 2, 10, 200]}", vec![1, 2, 10, 100]),
        ("{stepWeights: [1, 2, 10, 80], maxWeight: 10}", vec![1, 2, 10, 80]),
    ] {
        let text = flagger_file("X", "").replace("    X\n", "").trim_end().to_owned();
        assert_eq!(weights(&plan_of(&format!("{text} {analysis}\n"))), expected, "{analysis}");
    }
}

#[test]
fn flaggers_clamps_are_for_flaggers_objects() {
    let analysis = "stepWeight: 5\ninterval: 1s";
    assert_eq!(plan_of(&flagger_file(analysis, "")).interval, Duration::from_secs(10));
    assert_eq!(plan_of(&file(analysis, "")).interval, Duration::from_secs(1));
    for (given, expected) in [("threshold: -3", 1), ("threshold: 0", 1), ("threshold: 7", 7)] {
        let analysis = format!("stepWeight: 5\n{given}");
        assert_eq!(plan_of(&flagger_file(&analysis, "")).threshold, expected);
    }
    let bare = plan_of(&file("stepWeight: 5", ""));
    assert_eq!((bare.interval, bare.threshold), (Duration::from_mins(1), 1));
}

#[test]
fn skipping_the_analysis_needs_no_schedule() {
    let plan = plan_of(&flagger_file("interval: 1m\nthreshold: 5", "skipAnalysis: true"));
    assert!(plan.skip_analysis);
    assert_eq!(plan.schedule, Schedule::Steps(Vec::new()));
}

#[test]
fn the_recipes_backend() {
    let plan = plan_of(RECIPE);
    assert_eq!((plan.name.as_str(), plan.namespace.as_str()), ("backend", "prod"));
    assert_eq!(weights(&plan), (1..=10).map(|step| step * 5).collect::<Vec<u16>>());
    assert_eq!((plan.interval, plan.threshold), (Duration::from_secs(15), 10));
    let bounds: Vec<_> = plan.checks.iter().map(|it| (it.name.as_str(), it.min, it.max)).collect();
    assert_eq!(bounds, [("error-rate", None, Some(1.0)), ("latency", None, Some(500.0))]);
    let CheckSource::Query { address, query } = &plan.checks[0].source else { panic!() };
    assert_eq!(address, "http://flagger-prometheus.istio-system:9090");
    assert!(query.contains(r#"destination_workload_namespace="prod""#), "{query}");
    assert!(query.contains(r#"destination_workload=~"backend""#), "{query}");
    assert!(query.contains("[30s]"), "{query}");
    let hooks: Vec<_> = plan.hooks.iter().map(|it| (it.kind, it.timeout.as_secs())).collect();
    assert_eq!(hooks, [(HookKind::PreRollout, 15), (HookKind::Rollout, 15)]);
    // Its checks ask Prometheus, so that nothing need be counted at the tracks' own services.
    assert_eq!(plan.routing.direct, None);
}

#[test]
fn the_recipes_frontend_is_an_ab_test() {
    let plan = plan_of(FRONTEND);
    assert_eq!(plan.schedule, Schedule::Ab { iterations: 10 });
    assert_eq!(plan.routing.otherwise, Otherwise::Primary);
    let rules = &plan.routing.rules;
    assert!(rules.iter().all(|rule| rule.then == Then::Canary && rule.when.len() == 1));
    assert_eq!(rules[0].when[0].of, Subject::Header("user-agent".to_owned()));
    assert_eq!(rules[0].when[0].is, Test::Regex(".*Firefox.*".to_owned()));
    assert_eq!(rules[1].when[0].of, Subject::Header("cookie".to_owned()));
}

/// The examples of Flagger's documentation, each with what they are about.
#[test]
fn built_in_metrics_and_the_deprecated_threshold() {
    let plan = plan_of(&flagger_file(
        "stepWeight: 5\nmetrics:\n\
         - {name: request-success-rate, threshold: 99, interval: 1m}\n\
         - {name: \"404s percentage\", threshold: 5, query: \"100 - x{a='{{ target }}'}\"}\n\
         - {name: request-duration, thresholdRange: {max: 500.9}, interval: 30s}\n\
         - {name: request-duration}",
        "metricsServer: http://prometheus:9090/p\nservice: {port: 9898}",
    ));
    let [rate, inline, duration, none] = plan.checks.as_slice() else { panic!() };
    assert_eq!((rate.min, rate.max), (Some(99.0), None));
    assert_eq!(rate.source, CheckSource::SuccessRate);
    assert_eq!((inline.min, inline.max, inline.interval.as_secs()), (None, Some(5.0), 60));
    let query = "100 - x{a='shop'}".to_owned();
    let address = "http://prometheus:9090/p".to_owned();
    assert_eq!(inline.source, CheckSource::Query { address, query });
    assert_eq!((duration.max, duration.interval.as_secs()), (Some(500.0), 30));
    assert_eq!((none.min, none.max), (None, Some(0.0)));
    assert!(plan.routing.edges_ms.contains(&500));
    let direct = plan.routing.direct.unwrap();
    assert_eq!(direct.primary, ["outbound|9898||shop-primary.demo.svc.cluster.local"]);
    assert_eq!(direct.canary, ["outbound|9898||shop-canary.demo.svc.cluster.local"]);
}

#[test]
fn a_metric_may_have_several_sources_there() {
    let template = "---\napiVersion: flagger.app/v1beta1\nkind: MetricTemplate\n\
                    metadata: {name: t}\nspec:\n  provider: {type: prometheus, address: 'http://p'}\n\
                    \x20 query: 't{v=\"{{ variables.v }}\", i=\"{{ interval }}\"}'\n";
    let plan = plan_of(
        &(flagger_file(
            "stepWeight: 5\nmetrics:\n\
         - {name: request-success-rate, templateRef: {name: t}, query: q, \
            templateVariables: {v: 'a\"b'}, thresholdRange: {min: 1}}\n\
         - {name: other, query: r, thresholdRange: {}}",
            "metricsServer: http://p",
        ) + template),
    );
    let query = |check: &serin_rollout::Check| match &check.source {
        CheckSource::Query { query, .. } => query.clone(),
        source => format!("{source:?}"),
    };
    let asked: Vec<String> = plan.checks.iter().map(query).collect();
    assert_eq!(asked, ["SuccessRate", "q", "r", r#"t{v="a\"b", i="1m"}"#]);
    assert_eq!((plan.checks[2].min, plan.checks[2].max), (None, None));
}

#[test]
fn gates_and_hooks_of_every_kind() {
    let kinds = [
        ("confirm-rollout", HookKind::ConfirmRollout),
        ("pre-rollout", HookKind::PreRollout),
        ("rollout", HookKind::Rollout),
        ("confirm-traffic-increase", HookKind::ConfirmTrafficIncrease),
        ("confirm-promotion", HookKind::ConfirmPromotion),
        ("post-rollout", HookKind::PostRollout),
        ("rollback", HookKind::Rollback),
        ("event", HookKind::Event),
        ("''", HookKind::Rollout),
    ];
    for (written, kind) in kinds {
        let hook = format!("{{name: a, type: {written}, url: 'http://x.test:80/gate'}}");
        let text = format!("stepWeight: 5\nwebhooks: [{hook}]");
        let hooks = plan_of(&flagger_file(&text, "")).hooks;
        assert_eq!((hooks[0].kind, hooks[0].timeout.as_secs(), hooks[0].retries), (kind, 10, 0));
    }
    let short = "stepWeight: 5\nwebhooks: [{name: a, url: 'http://x', timeout: '5', retries: 3}]";
    let hooks = plan_of(&flagger_file(short, "")).hooks;
    assert_eq!((hooks[0].kind, hooks[0].timeout.as_secs()), (HookKind::Rollout, 10));
    assert_eq!(hooks[0].retries, 3);
}

#[test]
fn session_affinity_is_one_cookie_with_secure_defaults() {
    let plan = plan_of(&flagger_file(
        "stepWeight: 5\nsessionAffinity: {cookieName: c, primaryCookieName: p}",
        "",
    ));
    let cookie = plan.routing.affinity.unwrap();
    assert_eq!(
        (cookie.cookie.as_str(), cookie.max_age_s, cookie.path.as_str()),
        ("c", 86_400, "/")
    );
    assert!(cookie.http_only && !cookie.partitioned && cookie.domain.is_none());
    assert_eq!((cookie.secure, cookie.same_site), (Secure::WhenHttps, SameSite::Lax));
    let plan = plan_of(&flagger_file(
        "stepWeight: 5\nsessionAffinity:\n  cookieName: c\n  maxAge: 21600\n  domain: shop.test\n  \
         httpOnly: false\n  partitioned: true\n  path: /app\n  sameSite: Strict\n  secure: true",
        "",
    ));
    let cookie = plan.routing.affinity.unwrap();
    assert_eq!((cookie.max_age_s, cookie.path.as_str()), (21_600, "/app"));
    assert_eq!((cookie.secure, cookie.same_site), (Secure::Always, SameSite::Strict));
    assert!(!cookie.http_only && cookie.partitioned && cookie.domain.is_some());
}

#[test]
fn match_restricts_weights_to_those_who_match() {
    let plan = plan_of(&flagger_file(
        "stepWeight: 5\nmatch: [{headers: {X-Insider: {exact: 'true'}}}]",
        "",
    ));
    assert_eq!(plan.routing.rules[0].then, Then::Weighted);
    assert_eq!(plan.routing.rules[0].when[0].of, Subject::Header("x-insider".to_owned()));
    assert_eq!(plan.routing.otherwise, Otherwise::Primary);
    let plan = plan_of(&flagger_file("iterations: 5", ""));
    assert_eq!(plan.schedule, Schedule::BlueGreen { iterations: 5 });
    assert_eq!(plan.routing.otherwise, Otherwise::Weighted);
}

#[test]
fn grpc_is_told_by_port_name_or_protocol() {
    for (service, grpc) in [
        ("{port: 80}", false),
        ("{port: 80, portName: grpc}", true),
        ("{port: 80, portName: grpc-web}", true),
        ("{port: 80, appProtocol: GRPC}", true),
        ("{port: 80, portName: grpcish}", false),
        ("{port: 80, portName: http2}", false),
    ] {
        let plan = plan_of(&flagger_file("stepWeight: 5", &format!("service: {service}")));
        assert_eq!(plan.routing.grpc, grpc, "{service}");
    }
}

/// What a cluster holds may know fields that we do not: unlike a file's, they are no problem there.
#[test]
fn objects_from_a_cluster_are_tolerated() {
    let object = serde_json::json!({
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": { "name": "shop", "namespace": "demo", "uid": "1" },
        "spec": {
            "targetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "shop" },
            "analysis": { "stepWeight": 5, "newField": 1 },
            "canaryAnalysis": {},
        },
        "status": { "phase": "Progressing", "canaryWeight": 5, "lastTrackedRevision": "v2:1" },
    });
    let canary: serin_api::Canary = serde_json::from_value(object).unwrap();
    assert_eq!((canary.group, canary.apex()), (Group::Flagger, "shop"));
    let status = canary.status.as_ref().unwrap();
    assert_eq!((status.phase, status.canary_weight), (CanaryPhase::Progressing, 5));
    assert_eq!(status.last_tracked_revision.as_deref(), Some("v2:1"));
    assert_eq!(weights(&serin_api::plan(&canary, &[]).unwrap()).len(), 20);
    assert_eq!(Weight::FULL, Weight::from_percent(100));
}
