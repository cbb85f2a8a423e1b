//! Reading tables: what is accepted, what is refused, and in which words.
#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "a test may end so")]

use serde_json::{Value, json};
use serin_route::{Labels, Problems, Router, Secure, Side, Weight};

fn parse(table: &Value) -> Result<Router, Problems> {
    Router::parse(table.to_string().as_bytes(), &Labels::new())
}

fn rollout() -> Value {
    json!({
        "name": "shop", "namespace": "prod", "run": "r1", "generation": 1,
        "salt": "000102030405060708090a0b0c0d0e0f", "nonce": "n1", "weight": 2500
    })
}

fn table(rollout: &Value) -> Value {
    json!({ "version": 1, "scope": "prod", "rollouts": [rollout] })
}

/// A table whose only rollout has these fields, too.
fn with(fields: &Value) -> Value {
    let mut rollout = rollout();
    for (name, value) in fields.as_object().unwrap() {
        rollout[name] = value.clone();
    }
    table(&rollout)
}

/// `path: message` of every problem.
fn problems(table: &Value) -> Vec<String> {
    let problems = parse(table).map(|_| ()).unwrap_err();
    problems.list().iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_is_a_table_without_rollouts() {
    for nothing in ["", "  \n", "null", "{}"] {
        let router = Router::parse(nothing.as_bytes(), &Labels::new()).unwrap();
        assert!(router.table().rollouts.is_empty(), "{nothing:?}");
        assert_eq!(router.locate(b"serin/shop.prod/primary"), None);
        assert!(!router.counts_direct());
    }
}

#[test]
fn what_is_left_out_has_a_default() {
    let router = parse(&with(&json!({ "affinity": { "cookie": "shop" } }))).unwrap();
    let table = router.table();
    assert_eq!((table.side, table.claim, table.reports.is_none()), (Side::Client, false, true));
    let rollout = router.rollout(0).unwrap();
    assert_eq!(rollout.weight, Weight::from_percent(25));
    let affinity = rollout.affinity.as_ref().unwrap();
    assert_eq!((affinity.path.as_str(), affinity.max_age_s), ("/", 86_400));
    assert_eq!((affinity.http_only, affinity.secure), (true, Secure::WhenHttps));
}

#[test]
fn unknown_fields_are_ignored_and_null_is_absent() {
    let table = with(&json!({ "colour": "red", "rules": null, "affinity": null }));
    assert!(parse(&table).is_ok());
}

#[test]
fn whole_numbers_may_come_as_floats() {
    let table = with(&json!({ "weight": 2500.0, "generation": 7.0, "edgesMs": [1.0, 2.0] }));
    let router = parse(&table).unwrap();
    let rollout = router.rollout(0).unwrap();
    assert_eq!((rollout.weight.basis_points(), rollout.generation), (2500, 7));
    assert_eq!(rollout.edges_ms, [1, 2]);
    assert_eq!(
        problems(&with(&json!({ "weight": 2500.5 }))),
        ["rollouts[0].weight: must be a whole number from 0 to 10000, not a fraction"]
    );
}

#[test]
fn another_version_is_refused_and_nothing_else_is_said() {
    let table = json!({ "version": 2, "rollouts": "encoded otherwise" });
    assert_eq!(problems(&table), ["version: this filter speaks version 1, the table is version 2"]);
    assert_eq!(problems(&json!({ "scope": "prod" })), ["version: is missing"]);
}

#[test]
fn all_problems_come_at_once() {
    let table = json!({
        "version": 1, "side": "middle", "claim": "yes",
        "reports": { "cluster": "", "authority": "a b", "path": "reports", "periodMs": 1 },
        "rollouts": [
            rollout(),
            rollout(),
            7,
            { "name": "a/b", "namespace": "x.y", "salt": "xyz", "generation": -1, "weight": 10001,
              "nonce": "two words", "edgesMs": [5, 5], "rules": [
                { "when": [
                    { "of": { "header": "Host" }, "is": { "exact": 1 } },
                    { "of": "moon", "is": { "regex": "(" } } ],
                  "then": "left" } ] }
        ]
    });
    assert_eq!(
        problems(&table).join("\n"),
        r#"scope: is missing
side: must be one of client, server, not "middle"
claim: must be true or false, not "yes"
reports.path: must begin with /
reports.cluster: must not be empty
reports.authority: must consist of visible ASCII characters, not "a b"
reports.periodMs: must be a whole number from 100 to 60000, not 1
rollouts[1]: "shop.prod" is already at rollouts[0]
rollouts[2]: must be an object, not 7
rollouts[3].name: must consist of visible ASCII characters without /, not "a/b"
rollouts[3].namespace: must consist of visible ASCII characters without / and ., not "x.y"
rollouts[3].run: is missing
rollouts[3].generation: must be a whole number from 0 to 9007199254740992, not -1
rollouts[3].salt: at least 32 bytes are needed, not 3
rollouts[3].nonce: must consist of visible ASCII characters
rollouts[3].weight: must be a whole number from 0 to 10000, not 10001
rollouts[3].rules[0].when[0].of: must consist of the lower-case characters of a header's name, not "Host"
rollouts[3].rules[0].when[0].is: must be a string, not 1
rollouts[3].rules[0].when[1].of: must be one of header, cookie, query, label, method, path, authority, not "moon"
rollouts[3].rules[0].when[1].is: "(" is no pattern: found open group without closing ')'
rollouts[3].rules[0].then: must be one of primary, canary, weighted, not "left"
rollouts[3].edgesMs[1]: edges must rise: 5 follows 5"#
    );
}

#[test]
fn cookies_that_browsers_refuse_are_problems() {
    let affinity = |fields: Value| problems(&with(&json!({ "affinity": fields })));
    let secure = "rollouts[0].affinity.secure";
    assert_eq!(
        affinity(json!({ "cookie": "a", "sameSite": "None", "partitioned": true,
                         "secure": "never" })),
        [
            format!("{secure}: sameSite None forbids never"),
            format!("{secure}: partitioned forbids never")
        ]
    );
    assert_eq!(
        affinity(json!({ "cookie": "__Secure-a", "secure": "never" })),
        [format!("{secure}: a cookie named __Secure-… forbids never")]
    );
    assert_eq!(
        affinity(json!({ "cookie": "__host-a", "domain": "example.com", "path": "/x" })),
        [
            "rollouts[0].affinity.domain: a cookie named __Host-… has no domain",
            "rollouts[0].affinity.path: a cookie named __Host-… has the path /"
        ]
    );
    assert_eq!(affinity(json!({ "cookie": "a;b", "path": "x", "maxAgeS": 0 })).len(), 3);
    for name in ["__Host-a", "__Secure-a", "a"] {
        let fine = json!({ "cookie": name, "sameSite": "None", "partitioned": true });
        assert!(parse(&with(&json!({ "affinity": fine }))).is_ok(), "{name}");
    }
}

#[test]
fn everything_is_bounded() {
    let edges: Vec<u32> = (1..=65).collect();
    let route = |index: usize| json!({ "name": format!("r{index}") });
    let routes: Vec<Value> = (0..17).map(route).collect();
    let long = "x".repeat(5000);
    for (fields, problem) in [
        (json!({ "edgesMs": edges }), "rollouts[0].edgesMs: at most 64 are allowed, not 65"),
        (json!({ "routes": routes }), "rollouts[0].routes: at most 16 are allowed, not 17"),
        (json!({ "nonce": "" }), "rollouts[0].nonce: must not be empty"),
        (json!({ "run": long }), "rollouts[0].run: at most 128 bytes are allowed, not 5000"),
        (
            json!({ "rules": [{ "when": [{ "of": "path", "is": { "prefix": long } }],
                                "then": "canary" }] }),
            "rollouts[0].rules[0].when[0].is: at most 4096 bytes are allowed, not 5000",
        ),
    ] {
        assert_eq!(problems(&with(&fields)), [problem]);
    }
    let many: Vec<Value> = (0..10_001).map(|_| json!({})).collect();
    let table = json!({ "version": 1, "scope": "s", "rollouts": many });
    assert_eq!(problems(&table), ["rollouts: at most 10000 are allowed, not 10001"]);
}

#[test]
fn secrets_are_not_shown() {
    let reports = |token: Value| {
        json!({ "version": 1, "scope": "s", "rollouts": [], "reports": {
            "cluster": "c", "authority": "a", "path": "/", "token": token } })
    };
    assert_eq!(
        problems(&reports(json!("s3cret\n"))),
        ["reports.token: must consist of visible ASCII characters"]
    );
    assert_eq!(problems(&reports(json!(53_917))), ["reports.token: must be a string"]);
    for field in ["salt", "nonce"] {
        for secret in [json!("s3cret\n".repeat(4) + "abcd"), json!("s3cret\n"), json!(53_917)] {
            let said = problems(&with(&json!({ field: secret })));
            assert_eq!(said.len(), 1);
            assert!(said[0].starts_with(&format!("rollouts[0].{field}: ")), "{said:?}");
            assert!(!said[0].contains("s3cret") && !said[0].contains("53917"), "{said:?}");
        }
    }
}

#[test]
fn patterns_that_grow_beyond_bounds_are_refused() {
    for pattern in ["(a{1000}){1000}", "(?:.*.*){200}x", "a)(b", "\\p{Greek}", &"(".repeat(500)] {
        let rule = json!({ "when": [{ "of": "path", "is": { "regex": pattern } }],
                           "then": "canary" });
        let problems = problems(&with(&json!({ "rules": [rule] })));
        assert_eq!(problems.len(), 1, "{pattern}: {problems:?}");
        assert!(problems[0].contains("is no pattern"), "{problems:?}");
    }
}

#[test]
fn patterns_are_counted_once_however_often_they_occur() {
    let rule = |pattern: String| json!({ "when": [{ "of": "path", "is": { "regex": pattern } }], "then": "canary" });
    let rollout = |index: usize, same: bool| {
        let rules: Vec<Value> = (0..200)
            .map(|at| rule(if same { "a*".into() } else { format!("{index}-{at}") }))
            .collect();
        json!({ "name": format!("shop-{index}"), "namespace": "prod", "run": "r1", "generation": 1,
                "salt": "000102030405060708090a0b0c0d0e0f", "nonce": "n1", "weight": 1,
                "rules": rules })
    };
    let table = |same| {
        let rollouts: Vec<Value> = (0..6).map(|index| rollout(index, same)).collect();
        json!({ "version": 1, "scope": "s", "rollouts": rollouts })
    };
    assert!(parse(&table(true)).is_ok());
    let first = "rollouts[5].rules[0].when[0].is: at most 1000 different patterns are allowed";
    assert_eq!(problems(&table(false))[0], first);
}

#[test]
fn routes_and_clusters_are_told_apart() {
    let header = json!({ "of": { "header": "a" }, "is": "present" });
    assert_eq!(
        problems(&with(&json!({ "routes": [{ "name": "a" }, { "name": "a", "when": [header] }] }))),
        [
            "rollouts[0].routes[1]: \"a\" is already at rollouts[0].routes[0]",
            "rollouts[0].routes[1].when: a route is told by method, path and authority only"
        ]
    );
    assert_eq!(
        problems(&with(&json!({ "direct": { "primary": ["a"], "canary": ["b", "a"] } }))),
        ["rollouts[0].direct.canary[1]: \"a\" is already at rollouts[0].direct.primary[0]"]
    );
}

#[test]
fn what_is_no_json_or_too_large_is_a_problem_of_the_table() {
    for garbage in ["{", "[1,]", "\u{0}", "{\"version\":1e999}", "\"\\ud800\""] {
        let problems = Router::parse(garbage.as_bytes(), &Labels::new()).unwrap_err();
        assert!(problems.to_string().starts_with("table: is no JSON: "), "{problems}");
    }
    let deep = "[".repeat(100_000);
    assert!(Router::parse(deep.as_bytes(), &Labels::new()).is_err());
    let large = vec![b' '; (16 << 20) + 1];
    let problems = Router::parse(&large, &Labels::new()).unwrap_err();
    assert_eq!(problems.to_string(), "table: at most 16777216 bytes are allowed, not 16777217");
    let table = json!([1]);
    assert_eq!(problems_of(&table), "table: must be an object, not a list");
}

fn problems_of(table: &Value) -> String {
    problems(table).join("\n")
}
