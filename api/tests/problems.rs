//! Everything that is wrong with a Canary is told, in the words of the Canary.

mod common;

use common::{file, flagger_file, golden, planned, problems_of};
use serin_api::{local_problems, read, read_and};

/// What is wrong with an analysis.
#[track_caller]
fn check(analysis: &str, expected: &[&str]) {
    assert_eq!(problems_of(&file(analysis, "")), expected, "{analysis}");
}

const STEPS: &str = "stepWeights: [10, 50]\n";

/// What is wrong with an analysis whose schedule is right.
#[track_caller]
fn check_beside(analysis: &str, expected: &[&str]) {
    check(&format!("{STEPS}{analysis}"), expected);
}

#[test]
fn a_schedule_is_exactly_one_style_and_rises() {
    let needs = "spec.analysis: needs one of steps, stepWeight, stepWeights and iterations";
    let only = "spec.analysis: needs only one of steps, stepWeight, stepWeights and iterations";
    check("interval: 30s", &[needs]);
    check("stepWeight: 0", &[needs]);
    check("stepWeight: 5\niterations: 3", &[&format!("{only}, not stepWeight and iterations")]);
    check(
        "stepWeight: 5\nstepWeights: [1]\nsteps: [{setWeight: 1}]",
        &[&format!("{only}, not steps and stepWeight and stepWeights")],
    );
    check("stepWeight: 101", &["spec.analysis.stepWeight: must be from 1 to 100, not 101"]);
    check(
        "stepWeight: 5\nmaxWeight: -1",
        &["spec.analysis.maxWeight: must be from 1 to 100, not -1"],
    );
    check(
        "stepWeights: [20, 40, 40, 0, 30, 200, 60, 170]",
        &[
            "spec.analysis.stepWeights[2]: must rise: 40 follows 40",
            "spec.analysis.stepWeights[3]: must be from 1 to 100, not 0",
            "spec.analysis.stepWeights[4]: must rise: 30 follows 40",
            "spec.analysis.stepWeights[5]: must be from 1 to 100, not 200",
            "spec.analysis.stepWeights[7]: must be from 1 to 100, not 170",
        ],
    );
    check("stepWeights: [101]", &["spec.analysis.stepWeights[0]: must be from 1 to 100, not 101"]);
    check("iterations: -3", &["spec.analysis.iterations: must be from 1 to 4294967295, not -3"]);
    check(
        "stepWeights: [5]\nmaxWeight: 50",
        &["spec.analysis.maxWeight: has no meaning with stepWeights: the last is the most"],
    );
}

#[test]
fn steps_are_weights_and_pauses() {
    check(
        "steps:\n- setWeight: 10\n- {}\n- {setWeight: 20, pause: {}}\n- setWeight: 10\n\
         - setWeight: 0.005\n- setWeight: 100.5\n- pause: {duration: 0s}\n- pause: {duration: 10}",
        &[
            "spec.analysis.steps[1]: needs one of setWeight and pause",
            "spec.analysis.steps[2]: needs one of setWeight and pause",
            "spec.analysis.steps[3].setWeight: must rise: 10% follows 10%",
            "spec.analysis.steps[4].setWeight: must be above 0 and at most 100, with at most two \
             decimals, not 0.005",
            "spec.analysis.steps[5].setWeight: must be above 0 and at most 100, with at most two \
             decimals, not 100.5",
            "spec.analysis.steps[6].pause.duration: must be longer than 0s",
            "spec.analysis.steps[7].pause.duration: must be a text, not 10: such as 10s",
        ],
    );
    check(
        "steps:\n- setWeight: 10\n- {}\n- {setWeight: 20, pause: {}}\n- setWeight: 10\n\
         - setWeight: 0.005\n- setWeight: 100.5\n- pause: {duration: 0s}\n- pause: {duration: 3 s}",
        &[
            "spec.analysis.steps[1]: needs one of setWeight and pause",
            "spec.analysis.steps[2]: needs one of setWeight and pause",
            "spec.analysis.steps[3].setWeight: must rise: 10% follows 10%",
            "spec.analysis.steps[4].setWeight: must be above 0 and at most 100, with at most two \
             decimals, not 0.005",
            "spec.analysis.steps[5].setWeight: must be above 0 and at most 100, with at most two \
             decimals, not 100.5",
            "spec.analysis.steps[6].pause.duration: must be longer than 0s",
            "spec.analysis.steps[7].pause.duration: must be a duration like 30s, 1m30s or 500ms, \
             not \"3 s\"",
        ],
    );
    check("steps: [{pause: {}}]", &["spec.analysis.steps: needs at least one setWeight"]);
}

/// A field of the wrong type hides nothing but what it would have said itself.
#[test]
fn types_and_meaning_are_told_together() {
    let text = file(
        "interval: 30\nthreshold: 0\nstepWeights: [10, x]\nmaxWeight: true\n\
         metrics: [{name: errors, thresholdRange: {max: 1}}]\nevidence: {maxDwell: 10s, guard: 0}",
        "suspend: true",
    );
    let text = text.replace(", name: shop}", "}");
    let problems = read_and(&text, local_problems).unwrap_err();
    let told: Vec<String> =
        problems.iter().map(|it| format!("{}: {}", it.path, it.message)).collect();
    assert_eq!(
        told,
        [
            "spec.targetRef.name: is missing",
            "spec.suspend: has no meaning here: there is one run, and it was just started",
            "spec.analysis.interval: must be a text, not 30: such as 30s",
            "spec.analysis.threshold: must be from 1 to 4294967295, not 0",
            "spec.analysis.stepWeights[1]: must be a whole number, not \"x\"",
            "spec.analysis.maxWeight: must be a whole number, not true",
            "spec.analysis.metrics[0]: needs a query or a templateRef: built in are only \
             request-success-rate and request-duration, not \"errors\"",
            "spec.analysis.evidence.guard: must be from 1 to 100, not 0",
        ]
    );
}

#[test]
fn a_block_is_whole_seconds() {
    for block in ["1ms", "1500ms"] {
        let rule = format!("spec.analysis.evidence.block: must be whole seconds, not {block}");
        let rule = rule.replace("1500ms", "1.5s");
        check_beside(&format!("evidence: {{block: {block}}}"), &[&rule]);
    }
    check_beside("evidence: {block: 2000ms}", &[]);
}

#[test]
fn the_steering_header_is_nobodys_condition_and_nobodys_key() {
    check_beside(
        "match: [{headers: {X-Serin-Track: {exact: canary}}}]\nuserKey: [{header: x-serin-track}]",
        &[
            "spec.analysis.match[0].headers[\"X-Serin-Track\"]: is the filter's own header, \
             which no caller's request keeps",
            "spec.analysis.userKey[0].header: is the filter's own header, which no caller's \
             request keeps",
        ],
    );
}

#[test]
fn pace_and_threshold() {
    check_beside(
        "interval: 900ms\nthreshold: 0",
        &[
            "spec.analysis.interval: must be at least 1s, not 900ms",
            "spec.analysis.threshold: must be from 1 to 4294967295, not 0",
        ],
    );
    check_beside(
        "interval: 1 minute",
        &["spec.analysis.interval: must be a duration like 30s, 1m30s or 500ms, not \"1 minute\""],
    );
    check_beside(
        "interval: '30'",
        &["spec.analysis.interval: must name a unit (ms, s, m, h): \"30\" has none"],
    );
}

#[test]
fn conditions_are_what_the_filter_can_test() {
    check_beside(
        "match:\n\
         - headers: {user-agent: {regex: '(Firefox'}}\n\
         - {}\n\
         - headers: {x-a: {exact: a, prefix: b}, 'x b': {exact: c}}\n\
         - queryParams: {v: {}}\n  cookies: {'a=b': {}}",
        &[
            "spec.analysis.match[0].headers[\"user-agent\"]: \"(Firefox\" is no pattern: found \
             open group without closing ')'",
            "spec.analysis.match[1]: needs a condition: headers, cookies, queryParams or \
             sourceLabels",
            "spec.analysis.match[2].headers[\"x-a\"]: needs only one of exact, prefix, suffix and \
             regex",
            "spec.analysis.match[2].headers[\"x b\"]: must consist of the lower-case characters \
             of a header's name, not \"x b\"",
            "spec.analysis.match[3].cookies[\"a=b\"]: must consist of the characters of a \
             cookie's name, not \"a=b\"",
        ],
    );
    check_beside(
        "routes:\n\
         - {name: a, match: [{path: {prefix: /a}}]}\n\
         - {name: a, match: [{method: {exact: POST}}]}\n\
         - {name: b, match: [{}]}\n\
         - {name: '', match: [{authority: {regex: '['}}, {}]}",
        &[
            "spec.analysis.routes[1]: \"a\" is already at spec.analysis.routes[0]",
            "spec.analysis.routes[2].match[0]: needs path, method or authority",
            "spec.analysis.routes[3].name: must not be empty",
            "spec.analysis.routes[3].match: needs exactly one entry; more are valid but not \
             supported yet, not 2",
            "spec.analysis.routes[3].match[0].authority: \"[\" is no pattern: found unclosed \
             character class",
        ],
    );
}

#[test]
fn cookies_and_keys() {
    check_beside(
        "sessionAffinity: {cookieName: 'a;b', primaryCookieName: 'a;b', maxAge: -1, path: x}",
        &[
            "spec.analysis.sessionAffinity.cookieName: must consist of the characters of a \
             cookie's name, not \"a;b\"",
            "spec.analysis.sessionAffinity.primaryCookieName: must differ from cookieName",
            "spec.analysis.sessionAffinity.maxAge: must be from 1 to 4294967295, not -1",
            "spec.analysis.sessionAffinity.path: must begin with /",
        ],
    );
    check_beside(
        "sessionAffinity: {cookieName: a, sameSite: None, secure: false, domain: 'a b'}",
        &[
            "spec.analysis.sessionAffinity.secure: sameSite None forbids false",
            "spec.analysis.sessionAffinity.domain: must consist of letters, digits, dots and \
             hyphens, not \"a b\"",
        ],
    );
    check_beside(
        "userKey: [{}, {header: a, cookie: b}, {header: 'a b'}, {requestId: {}}]",
        &[
            "spec.analysis.userKey[0]: needs one of header, cookie and requestId",
            "spec.analysis.userKey[1]: needs one of header, cookie and requestId",
        ],
    );
}

#[test]
fn evidence_stays_within_reason() {
    check_beside(
        "evidence:\n  alphaQuarantine: 0\n  alphaRollback: 1\n  guard: 0.5\n  errorFloor: 100\n  \
         block: 0s\n  maxDwell: x\n  gate: pass\n  objectives: {}",
        &[
            "spec.analysis.evidence.alphaQuarantine: must be above 0 and below 1, not 0",
            "spec.analysis.evidence.alphaRollback: must be above 0 and below 1, not 1",
            "spec.analysis.evidence.guard: must be from 1 to 100, not 0.5",
            "spec.analysis.evidence.errorFloor: must be above 0 and below 100, not 100",
            "spec.analysis.evidence.block: must be longer than 0s",
            "spec.analysis.evidence.maxDwell: must be a duration like 30s, 1m30s or 500ms, not \
             \"x\"",
            "spec.analysis.evidence.gate: pass needs objectives",
            "spec.analysis.evidence.objectives: needs errorRate or latency",
        ],
    );
    check_beside(
        "interval: 20s\nevidence:\n  maxDwell: 10s",
        &[
            "spec.analysis.evidence.maxDwell: must not be shorter than the interval: 10s is below 20s",
        ],
    );
    check_beside(
        "evidence:\n  alphaRollback: 0.1\n  objectives:\n    errorRate: 0\n    latency:\n    \
         - {threshold: 1.5ms, percentile: 99}\n    - {threshold: 1s, percentile: 100}",
        &[
            "spec.analysis.evidence.alphaRollback: must not be above alphaQuarantine: a rollback \
             needs more than a quarantine; 0.1 is above 0.05",
            "spec.analysis.evidence.objectives.errorRate: must be above 0 and below 100, not 0",
            "spec.analysis.evidence.objectives.latency[0].threshold: must be whole milliseconds, \
             at most 1193h, not \"1.5ms\"",
            "spec.analysis.evidence.objectives.latency[1].percentile: must be above 0 and below \
             100, not 100",
        ],
    );
}

#[test]
fn metrics_have_one_source_and_bounds() {
    check_beside(
        "metrics:\n\
         - {name: errors, thresholdRange: {max: 1}}\n\
         - {name: request-success-rate}\n\
         - {name: request-success-rate, thresholdRange: {min: 101}, threshold: 99}\n\
         - {name: request-duration, thresholdRange: {max: 0.5}, interval: 0s}\n\
         - {name: request-duration, thresholdRange: {min: 9, max: 5}, query: up}",
        &[
            "spec.analysis.metrics[0]: needs a query or a templateRef: built in are only \
             request-success-rate and request-duration, not \"errors\"",
            "spec.analysis.metrics[1].thresholdRange: needs min or max",
            "spec.analysis.metrics[2].thresholdRange: must be percent, from 0 to 100, not 101",
            "spec.analysis.metrics[2].threshold: has no meaning beside thresholdRange",
            "spec.analysis.metrics[3].thresholdRange: must be whole milliseconds, not 0.5",
            "spec.analysis.metrics[3].interval: must be longer than 0s",
            "spec.analysis.metrics[4].name: request-duration is built in: another name is needed \
             for a query",
            "spec.analysis.metrics[4].thresholdRange: min 9 is above max 5",
            "spec.analysis.metrics[4].query: needs spec.metricsServer, the Prometheus that \
             answers it",
        ],
    );
    let analysis = format!(
        "{STEPS}metrics:\n- name: a\n  thresholdRange: {{max: 1}}\n  \
         query: '{{{{ .Target }}}} {{{{ variables.x }}}} {{{{ ingress }}}} {{{{'"
    );
    assert_eq!(
        problems_of(&file(&analysis, "metricsServer: prometheus:9090")),
        [
            "spec.metricsServer: must be an http:// or https:// address, not \"prometheus:9090\"",
            "spec.analysis.metrics[0].templateVariables: has no x, which it uses",
            "spec.analysis.metrics[0].query: only names of values may stand between braces, like \
             {{ target }} and {{ variables.x }}, not \".Target\"",
            "spec.analysis.metrics[0].query: {{ ingress }} has no value",
            "spec.analysis.metrics[0].query: has {{ without }}",
        ]
    );
}

#[test]
fn webhooks() {
    check_beside(
        "webhooks:\n\
         - {name: '', url: gate.test}\n\
         - {name: a, url: 'http://', timeout: 0s, retries: -1, disableTLS: true}\n\
         - {name: b, url: 'http://x/ y', timeout: '5'}",
        &[
            "spec.analysis.webhooks[0].name: must not be empty",
            "spec.analysis.webhooks[0].url: must be an http:// or https:// address, not \
             \"gate.test\"",
            "spec.analysis.webhooks[1].url: must be an http:// or https:// address, not \
             \"http://\"",
            "spec.analysis.webhooks[1].timeout: must be longer than 0s",
            "spec.analysis.webhooks[1].retries: must be from 0 to 100, not -1",
            "spec.analysis.webhooks[2].url: must be an http:// or https:// address, not \
             \"http://x/ y\"",
            "spec.analysis.webhooks[2].timeout: must name a unit (ms, s, m, h): \"5\" has none",
        ],
    );
}

#[test]
fn templates_are_named_in_their_own_problems() {
    let canary = file(
        &format!(
            "{STEPS}metrics:\n\
             - {{name: a, thresholdRange: {{max: 1}}, templateRef: {{name: nobody}}}}\n\
             - {{name: b, thresholdRange: {{max: 1}}, templateRef: {{name: t, namespace: x}}}}\n\
             - {{name: c, thresholdRange: {{max: 1}}, templateRef: {{name: t}}}}\n\
             - {{name: d, thresholdRange: {{max: 1}}, templateRef: {{name: u}}}}"
        ),
        "",
    );
    let template = |name: &str, spec: &str| {
        format!(
            "---\napiVersion: serin.dev/v1beta1\nkind: MetricTemplate\nmetadata: {{name: {name}}}\n\
             spec: {spec}\n"
        )
    };
    let text = canary
        + &template("t", "{provider: {type: datadog}, query: '{{ variables.y }}{{ if x }}'}")
        + &template("u", "{provider: {type: prometheus, secretRef: {name: s}}, query: ''}");
    assert_eq!(
        problems_of(&text),
        [
            "spec.analysis.metrics[0].templateRef: there is no MetricTemplate nobody in namespace \
             demo",
            "spec.analysis.metrics[1].templateRef: there is no MetricTemplate t in namespace x",
            "spec.analysis.metrics[2].templateVariables: has no y, which MetricTemplate t uses",
            "MetricTemplate t: spec.provider.type: datadog is valid but not supported yet",
            "MetricTemplate t: spec.query: only names of values may stand between braces, like \
             {{ target }} and {{ variables.x }}, not \"if x\"",
            "MetricTemplate u: spec.provider.address: is missing",
            "MetricTemplate u: spec.query: must not be empty",
        ]
    );
}

#[test]
fn files_hold_one_canary() {
    let canary = file(STEPS, "");
    let template = "---\napiVersion: serin.dev/v1beta1\nkind: MetricTemplate\n\
                    metadata: {name: t}\nspec: {provider: {type: prometheus}, query: up}\n";
    for (text, expected) in [
        (String::new(), vec![": holds no Canary"]),
        ("# nothing\n---\n---\n".to_owned(), vec![": holds no Canary"]),
        ("a: [".to_owned(), vec![": is no YAML: unclosed bracket '['"]),
        ("a: 1\na: 2".to_owned(), vec![": is no YAML: duplicate mapping key: a"]),
        ("- 1".to_owned(), vec!["kind: must be Canary or MetricTemplate, not nothing"]),
        (format!("{canary}---\n{canary}"), vec![": is a second Canary: a file holds one"]),
        (
            format!("{canary}{template}{template}"),
            vec!["MetricTemplate t: metadata.name: is already taken in this file"],
        ),
        (
            format!("{canary}---\nkind: Deployment\n"),
            vec!["kind: must be Canary or MetricTemplate, not \"Deployment\""],
        ),
        (
            canary.replace("v1beta1", "v1"),
            vec![
                "apiVersion: must be serin.dev/v1beta1, or in a cluster flagger.app/v1beta1, not \"serin.dev/v1\"",
            ],
        ),
    ] {
        let problems = problems_of(&text);
        let begin = |problem: &String, expected: &&str| problem.starts_with(*expected);
        assert!(
            problems.len() == expected.len()
                && problems.iter().zip(&expected).all(|(problem, it)| begin(problem, it)),
            "{text}\n{problems:#?}"
        );
    }
}

#[test]
fn names_are_those_that_objects_can_have() {
    let text = file(STEPS, "").replace("name: shop\n", "name: My Shop\n");
    let text =
        text.replace("namespace: demo", "namespace: a.b").replace("name: shop}", "name: a-}");
    let problems = problems_of(&text);
    let paths: Vec<&str> = problems.iter().filter_map(|it| it.split(':').next()).collect();
    assert_eq!(paths, ["metadata.name", "metadata.namespace", "spec.targetRef.name"]);
}

#[test]
fn what_is_not_supported_yet_says_so() {
    assert_eq!(
        problems_of(&flagger_file(
            "stepWeight: 5\nmirror: true",
            "provider: linkerd\nservice: {port: 80, appProtocol: TCP}"
        )),
        [
            "spec.provider: must be istio, not \"linkerd\"",
            "spec.service.appProtocol: tcp is valid but not supported yet",
            "spec.analysis.mirror: is valid but not supported yet",
        ]
    );
}

#[test]
fn local_honours_or_refuses_every_field() {
    let text = file(
        "stepWeight: 5\nstepWeightPromotion: 10\nprimaryReadyThreshold: 50\n\
         match: [{sourceLabels: {app: x}}]\nalerts: [{name: a, providerRef: {name: b}}]",
        "suspend: true\nrevertOnDeletion: true\nprogressDeadlineSeconds: 60\nskipAnalysis: true\n\
         provider: istio\nautoscalerRef: {kind: HorizontalPodAutoscaler, name: shop}\n\
         service: {port: 80, portName: grpc, hosts: [shop.test], headless: true}",
    );
    let objects = read(&text).unwrap();
    let paths = |text: &str| -> Vec<String> {
        let objects = read(text).unwrap();
        let problems = objects.located(local_problems(&objects.canary, &objects.templates));
        problems.iter().map(|problem| problem.path.clone()).collect()
    };
    assert!(objects.plan().is_ok());
    assert_eq!(
        paths(&text),
        [
            "spec.suspend",
            "spec.revertOnDeletion",
            "spec.progressDeadlineSeconds",
            "spec.provider",
            "spec.autoscalerRef",
            "spec.service.hosts",
            "spec.service.headless",
            "spec.analysis.stepWeightPromotion",
            "spec.analysis.primaryReadyThreshold",
            "spec.analysis.match[0].sourceLabels",
            "spec.analysis.alerts",
        ]
    );
    assert_eq!(paths(&flagger_file(STEPS, "")), ["apiVersion"]);
    let fine = "stepWeight: 5\nuserKey: [{requestId: {}}]\nmetrics: []\nevidence: {mode: observe}";
    assert_eq!(paths(&file(fine, "metricsServer: http://prometheus.test")), [""; 0]);
}

/// What a person sees who gets everything wrong.
#[test]
fn the_listing_is_worth_reading() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/wrong.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let problems = planned(&text).unwrap_err();
    golden("wrong.txt", &format!("{problems}\n"));
}

/// `serin local` asks without credentials; a cluster has Secrets.
#[test]
fn credentials_of_a_template_need_a_cluster() {
    let canary = file(
        &format!(
            "{STEPS}metrics: [{{name: a, thresholdRange: {{max: 1}}, templateRef: {{name: t}}}}]"
        ),
        "",
    );
    let text = canary
        + "---\napiVersion: serin.dev/v1beta1\nkind: MetricTemplate\nmetadata: {name: t}\nspec:\n  \
           provider: {type: prometheus, address: 'http://p', secretRef: {name: s}, headers: {a: [b]}}\n  \
           query: up\n";
    let objects = read(&text).unwrap();
    assert!(objects.plan().is_ok());
    let problems = objects.located(local_problems(&objects.canary, &objects.templates));
    assert_eq!(
        problems.to_string(),
        "line 16, column 53: MetricTemplate t: spec.provider.secretRef: is not supported by serin \
         local\nline 16, column 75: MetricTemplate t: spec.provider.headers: is not supported by \
         serin local"
    );
}

/// What is wrong on a cluster, beyond what is wrong with the plan.
#[test]
fn a_cluster_wants_more() {
    let text = file(
        &format!("{STEPS}primaryReadyThreshold: 101\nstepWeightPromotion: 20\nalerts: [{{name: a, providerRef: {{name: b}}}}]"),
        "progressDeadlineSeconds: 0\ncallers: {namespaces: [a, A, demo, a], unscoped: weights}\n\
         autoscalerRef: {kind: VerticalPodAutoscaler, name: '', \
          primaryScalerReplicas: {minReplicas: 5, maxReplicas: 0}}\n\
         service: {port: 80, name: 1shop, portName: a_b, targetPort: sixteen-letters-, timeout: 0s, \
          trafficDistribution: PreferFar, hosts: ['*', 'a..b', '*.x', 'a b'], \
          gateways: [mesh, gw, ns/gw, /gw, a/b/c]}",
    )
    .replace("kind: Deployment", "kind: StatefulSet");
    let objects = read(&text).unwrap();
    let problems = serin_api::release(&objects.canary, &serin_api::Given::default()).unwrap_err();
    golden("cluster.txt", &format!("{problems}\n"));
    let bare = file(STEPS, "");
    let objects = read(&bare).unwrap();
    let problems = serin_api::release(&objects.canary, &serin_api::Given::default()).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "spec.service: is missing: it says on which port the workload is reached"
    );
}
