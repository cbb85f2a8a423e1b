use super::*;
use crate::fixture::{at_rest, facts, in_rollout};
use crate::scope::{Callers, Gateway, Labels, Reach};
use serin_api::canary::{Unscoped, Verbatim};

fn fields(value: &Value) -> Fields {
    value.as_object().unwrap().clone()
}

fn matching(entries: Vec<Value>) -> Facts {
    let mut facts = facts();
    facts.service.matching = entries.into_iter().map(|it| Verbatim(fields(&it))).collect();
    facts
}

/// The kinds of its routes, in order.
fn kinds(routes: &[HttpRoute]) -> Vec<&str> {
    routes.iter().map(|route| route.name.rsplit('/').next().unwrap()).collect()
}

fn outsiders_too(mut facts: Facts) -> Facts {
    facts.unscoped = Unscoped::Weights;
    facts
}

#[test]
fn the_canarys_route_wants_the_nonce_and_comes_first() {
    let routes = routes(&facts(), &in_rollout("r1", 10));
    assert_eq!(kinds(&routes), ["canary", "primary"]);
    assert_eq!(routes[0].name, "serin/store.prod/canary");
    let nonce = json!({ "headers": { TRACK_HEADER: { "exact": "5ec2e7" } } });
    assert_eq!(routes[0].matching, [fields(&nonce)]);
    assert_eq!(routes[0].route[0].destination.host, "store-canary");
    assert!(routes[1].matching.is_empty());
    for route in routes.iter().flat_map(|route| &route.route) {
        assert_eq!(route.headers.request.remove, [TRACK_HEADER]);
    }
}

#[test]
fn at_rest_there_is_one_route_and_after_a_failed_promotion_it_leads_to_the_canary() {
    assert_eq!(kinds(&routes(&facts(), &at_rest("r1"))), ["primary"]);
    let failed = Desired { default: Track::Canary, ..in_rollout("r2", 50) };
    let routes = routes(&outsiders_too(facts()), &failed);
    assert_eq!(kinds(&routes), ["canary", "failover"]);
    assert_eq!(routes[1].route[0].destination.host, "store-canary");
}

#[test]
fn the_authors_entries_hold_for_the_canary_too() {
    let given = json!({ "name": "v1", "uri": { "prefix": "/v1" }, "headers": { "x-a": {} } });
    let facts = matching(vec![given.clone(), json!({ "uri": { "prefix": "/v2" } })]);
    let routes = routes(&facts, &in_rollout("r1", 10));
    assert_eq!(routes[0].matching.len(), 2);
    assert_eq!(routes[0].matching[0]["uri"], given["uri"]);
    let headers = json!({ "x-a": {}, TRACK_HEADER: { "exact": "5ec2e7" } });
    assert_eq!(routes[0].matching[0]["headers"], headers);
    assert_eq!(routes[1].matching[0], fields(&given));
}

#[test]
fn a_match_that_istio_refuses_never_opens_the_canary_to_all() {
    let facts = matching(vec![json!({ "headers": "nonsense" })]);
    assert_eq!(kinds(&routes(&facts, &in_rollout("r1", 10))), ["primary"]);
}

#[test]
fn outside_of_the_scopes_weights_hold_if_they_are_to() {
    let facts = outsiders_too(facts());
    let live = routes(&facts, &in_rollout("r1", 10));
    assert_eq!(kinds(&live), ["canary", "primary", "unscoped"]);
    assert_eq!(live[1].matching, [fields(&json!({ "sourceNamespace": "prod" }))]);
    assert!(live[2].matching.is_empty());
    let shares: Vec<_> = live[2].route.iter().map(|it| it.weight).collect();
    assert_eq!(shares, [Some(90), Some(10)]);
    assert_eq!(kinds(&routes(&facts, &at_rest("r1"))), ["primary"]);
    let everyone = Facts { callers: Callers { reach: Reach::Mesh, ..Callers::default() }, ..facts };
    assert_eq!(kinds(&routes(&everyone, &in_rollout("r1", 10))), ["canary", "primary"]);
}

#[test]
fn entries_are_narrowed_to_a_scope_as_istio_reads_them() {
    let gateway = Scope::Gateway("istio-system/public".into());
    let namespace = Scope::Namespace("prod".into());
    for (entry, by_gateway, by_namespace) in [
        (
            json!({}),
            Some(json!({ "gateways": ["istio-system/public"] })),
            Some(json!({ "sourceNamespace": "prod" })),
        ),
        (
            json!({ "gateways": ["mesh"], "sourceLabels": { "a": "b" } }),
            None,
            Some(json!({ "sourceNamespace": "prod" })),
        ),
        (
            json!({ "gateways": ["istio-system/public", "istio-system/other"] }),
            Some(json!({ "gateways": ["istio-system/public"] })),
            None,
        ),
        (json!({ "sourceNamespace": "other" }), None, None),
        (
            json!({ "sourceLabels": { "a": "b" } }),
            None,
            Some(json!({ "sourceLabels": { "a": "b" }, "sourceNamespace": "prod" })),
        ),
    ] {
        let of = |scope| matches::within(&[fields(&entry)], scope).pop().map(Value::Object);
        assert_eq!(of(&gateway), by_gateway, "{entry}");
        assert_eq!(of(&namespace), by_namespace, "{entry}");
    }
}

#[test]
fn who_comes_through_a_steered_gateway_is_no_outsider() {
    let mut facts = outsiders_too(facts());
    facts.callers.mesh = false;
    let selector = Labels::from([("istio".to_owned(), "ingressgateway".to_owned())]);
    let everything = Gateway { name: "prod/all".into(), selector: Labels::new() };
    facts.callers.gateways = vec![Gateway { name: "istio-system/public".into(), selector }];
    assert_eq!(kinds(&routes(&facts, &in_rollout("r1", 10))), ["canary", "primary"]);
    facts.callers.gateways.push(everything);
    let live = routes(&facts, &in_rollout("r1", 10));
    assert_eq!(kinds(&live), ["canary", "primary", "unscoped"]);
    assert_eq!(live[1].matching, [fields(&json!({ "gateways": ["istio-system/public"] }))]);
    facts.callers.mesh = true;
    let live = routes(&facts, &in_rollout("r1", 10));
    assert_eq!(kinds(&live), ["canary", "primary", "primary", "unscoped"]);
}

#[test]
fn shares_sum_to_all_of_it() {
    for (points, expected) in
        [(0, (100, 0)), (1000, (90, 10)), (9975, (25, 9975)), (10_000, (0, 100)), (1, (9999, 1))]
    {
        assert_eq!(shares(Weight::from_basis_points(points).unwrap()), expected);
    }
}

#[test]
fn hosts_and_gateways_are_as_flagger_has_them() {
    let mut facts = facts();
    let of = |facts: &Facts| {
        let VirtualService { hosts, gateways, .. } = spec(facts, &at_rest("r1"));
        (hosts, gateways)
    };
    assert_eq!(of(&facts), (vec!["store".into()], vec!["mesh".into()]));
    facts.service.hosts = vec!["store.example".into()];
    facts.service.gateways = vec!["istio-system/public".into()];
    assert_eq!(
        of(&facts),
        (vec!["store.example".into(), "store".into()], vec!["istio-system/public".into()])
    );
    facts.service.hosts = vec!["*".into()];
    assert_eq!(of(&facts).0, ["*"]);
    facts.service.delegation = true;
    assert_eq!(of(&facts), (vec![], vec![]));
}
