use std::collections::BTreeSet;

use serde_json::json;
use serin_route::Router;

use super::*;
use crate::fixture::rollout;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn gateway() -> Scope {
    Scope::Gateway(labels(&[("istio", "ingressgateway")]))
}

fn namespace() -> Scope {
    Scope::Namespace("prod".into())
}

fn installation() -> Installation {
    let digest = "0".repeat(64);
    Installation {
        root_namespace: "istio-system".into(),
        module: format!("oci://registry.example/serin@sha256:{digest}").parse().unwrap(),
        pull_secret: None,
        receiver: Receiver {
            service: "serin".into(),
            namespace: "istio-system".into(),
            port: 4000,
            domain: "cluster.local".into(),
            path: "/reports".into(),
            period_ms: 1000,
        },
    }
}

fn made(
    scope: &Scope,
    all: &[Scope],
    rollouts: &[serin_route::Rollout],
) -> kube::core::DynamicObject {
    let all: BTreeSet<_> = all.iter().cloned().collect();
    plugin(scope, rollouts, &all, Order { token: "t0k3n", revived: 0 }, &installation())
}

#[test]
fn a_gateways_plugin_lies_in_the_root_and_selects_its_pods() {
    let it = made(&gateway(), &[gateway(), namespace()], &[rollout("store", 10)]);
    assert_eq!(it.metadata.namespace.as_deref(), Some("istio-system"));
    let spec = &it.data["spec"];
    assert_eq!(spec["selector"], json!({ "matchLabels": { "istio": "ingressgateway" } }));
    assert_eq!(spec["failStrategy"], "FAIL_OPEN");
    assert_eq!(spec["match"], json!([{ "mode": "CLIENT" }]));
    assert_eq!(spec["pluginConfig"]["claim"], true);
    let other = made(&namespace(), &[gateway(), namespace()], &[]);
    assert_eq!(other.metadata.namespace.as_deref(), Some("prod"));
    assert!(other.data["spec"].get("selector").is_none());
    assert!(spec["priority"].as_i64() > other.data["spec"]["priority"].as_i64());
}

#[test]
fn the_filter_reads_what_a_plugin_says() {
    for rollouts in [vec![], vec![rollout("store", 10), rollout("other", 20)]] {
        let it = made(&namespace(), &[namespace()], &rollouts);
        let config = it.data["spec"]["pluginConfig"].to_string();
        let router = Router::parse(config.as_bytes(), &serin_route::Labels::new()).unwrap();
        let table = router.table();
        assert_eq!((&table.rollouts, table.claim), (&rollouts, false));
        assert_eq!(table.scope, "namespace/prod");
        let reports = table.reports.clone().unwrap();
        assert_eq!(reports.cluster, "outbound|4000||serin.istio-system.svc.cluster.local");
        assert_eq!(reports.token, "t0k3n");
    }
}

#[test]
fn a_revival_changes_the_config_and_nothing_that_is_read() {
    let of = |revived| {
        let order = Order { token: "t", revived };
        plugin(&namespace(), &[], &BTreeSet::new(), order, &installation())
    };
    let configs = [0, 1, 2].map(|revived| of(revived).data["spec"]["pluginConfig"].to_string());
    assert!(configs[0] != configs[1] && configs[1] != configs[2]);
    let read = |config: &String| {
        Router::parse(config.as_bytes(), &serin_route::Labels::new()).unwrap().table().clone()
    };
    assert_eq!(read(&configs[0]), read(&configs[2]));
}

#[test]
fn scopes_overlap_where_an_envoy_may_be_in_both() {
    let other = Scope::Gateway(labels(&[("istio", "egressgateway")]));
    let narrower = Scope::Gateway(labels(&[("istio", "ingressgateway"), ("zone", "a")]));
    for (one, two, overlap) in [
        (gateway(), namespace(), true),
        (gateway(), other, false),
        (gateway(), narrower, true),
        (namespace(), Scope::Namespace("test".into()), false),
        (namespace(), Scope::Mesh, true),
        (namespace(), namespace(), false),
    ] {
        assert_eq!((one.overlaps(&two), two.overlaps(&one)), (overlap, overlap), "{one:?} {two:?}");
    }
}

#[test]
fn names_differ_and_are_names() {
    let long: Labels = labels(&[(&"k".repeat(250), &"v".repeat(60))]);
    let longer: Labels = labels(&[(&"k".repeat(250), &"w".repeat(60))]);
    let scopes =
        [gateway(), namespace(), Scope::Mesh, Scope::Gateway(long), Scope::Gateway(longer)];
    let names: BTreeSet<_> = scopes.iter().map(Scope::plugin_name).collect();
    assert_eq!(names.len(), scopes.len());
    for name in names {
        let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(name.len() < 253 && name.chars().all(valid), "{name}");
    }
}

#[test]
fn a_rollout_is_in_each_of_its_scopes_tables_and_in_no_other() {
    let member =
        |scopes: &[Scope], rollout| Member { scopes: scopes.iter().cloned().collect(), rollout };
    let gathered = tables(&[
        member(&[namespace(), gateway()], Some(rollout("store", 10))),
        member(&[namespace()], Some(rollout("a", 10))),
        member(&[Scope::Namespace("idle".into())], None),
    ]);
    let names = |scope: &Scope| -> Vec<_> {
        gathered.scopes[scope].iter().map(|it| it.name.as_str()).collect()
    };
    assert_eq!(names(&namespace()), ["a", "store"]);
    assert_eq!(names(&gateway()), ["store"]);
    assert!(names(&Scope::Namespace("idle".into())).is_empty());
    assert!(gathered.refused.is_empty());
}

#[test]
fn a_rollout_that_spoils_its_table_is_left_out_alone() {
    let bad = serin_route::Rollout { salt: "short".into(), ..rollout("bad", 10) };
    let members: Vec<_> = [rollout("a", 10), bad, rollout("a", 20), rollout("z", 10)]
        .into_iter()
        .map(|rollout| Member { scopes: BTreeSet::from([namespace()]), rollout: Some(rollout) })
        .collect();
    let gathered = tables(&members);
    let kept: Vec<_> = gathered.scopes[&namespace()].iter().map(|it| it.name.as_str()).collect();
    assert_eq!(kept, ["a", "z"]);
    let refused: Vec<_> = gathered.refused.iter().map(|it| it.rollout.as_str()).collect();
    assert_eq!(refused, ["a.prod", "bad.prod"]);
    assert!(gathered.refused[1].why.contains("salt"), "{}", gathered.refused[1].why);
}

#[test]
fn only_what_is_ours_and_of_no_scope_is_stale() {
    let all = BTreeSet::from([namespace()]);
    let mut found = made(&namespace(), &[], &[]);
    assert!(!is_stale(&found, &all, "istio-system"));
    assert!(is_stale(&found, &BTreeSet::new(), "istio-system"));
    found.metadata.labels = None;
    assert!(!is_stale(&found, &BTreeSet::new(), "istio-system"));
}

#[test]
fn gateways_are_named_as_istio_resolves_them() {
    for (written, name) in [
        ("public", "prod/public"),
        ("./public", "prod/public"),
        ("istio-system/public", "istio-system/public"),
        ("public.istio-system", "istio-system/public"),
        ("public.istio-system.svc.cluster.local", "istio-system/public"),
        ("mesh", "mesh"),
    ] {
        assert_eq!(gateway_name(written, "prod"), name);
    }
}

#[test]
fn the_root_namespace_is_no_scope_of_its_own() {
    let callers = Callers { root_namespace: "istio-system".into(), ..Callers::default() };
    assert!(callers.scopes("istio-system").is_empty());
    let further = Callers { further: vec!["test".into(), "istio-system".into()], ..callers };
    let scopes = further.scopes("prod");
    let expected = BTreeSet::from([namespace(), Scope::Namespace("test".into())]);
    assert_eq!(scopes, expected);
    let everyone = Callers { reach: Reach::Mesh, ..further };
    assert_eq!(everyone.scopes("prod"), BTreeSet::from([Scope::Mesh]));
}

#[test]
fn a_delegate_is_reached_through_the_gateways_of_its_roots() {
    use crate::fixture::object;
    use crate::kind::Kind;
    use serin_api::canary::Service;
    let root = |delegate: serde_json::Value| {
        let spec =
            json!({ "gateways": ["public", "mesh"], "http": [{}, { "delegate": delegate }] });
        object(Kind::VirtualService, "root", json!({ "spec": spec }))
    };
    let delegate = Service { delegation: true, ..Service::default() };
    for (to, found) in [
        (json!({ "name": "store" }), true),
        (json!({ "name": "store", "namespace": "prod" }), true),
        (json!({ "name": "store", "namespace": "test" }), false),
        (json!({ "name": "other" }), false),
    ] {
        let entrances = Entrances::of(&delegate, "store", "prod", &[root(to.clone())]);
        assert_eq!(entrances.gateways.contains("prod/public"), found, "{to}");
        assert_eq!((entrances.gateways.len(), entrances.mesh), (usize::from(found), found));
    }
}

#[test]
fn without_gateways_sidecars_reach_it() {
    use serin_api::canary::Service;
    let of = |gateways: &[&str]| {
        let gateways = gateways.iter().map(|it| (*it).to_owned()).collect();
        Entrances::of(&Service { gateways, ..Service::default() }, "store", "prod", &[])
    };
    assert_eq!(of(&[]), Entrances { mesh: true, ..Entrances::default() });
    let gateways = BTreeSet::from(["istio-system/a".into(), "prod/b".into()]);
    let both = Entrances { gateways: gateways.clone(), mesh: true };
    assert_eq!(of(&["istio-system/a", "b", "mesh"]), both);
    assert_eq!(of(&["istio-system/a", "b"]), Entrances { gateways, mesh: false });
}

#[test]
fn nobody_is_outside_if_only_steered_gateways_lead_in() {
    let public = Gateway { name: "a/b".into(), selector: labels(&[("istio", "x")]) };
    let everything = Gateway { selector: Labels::new(), ..public.clone() };
    for (gateways, mesh, everyone) in [
        (vec![public.clone()], false, true),
        (vec![public.clone()], true, false),
        (vec![public, everything], false, false),
    ] {
        assert_eq!(Callers { gateways, mesh, ..Callers::default() }.everyone(), everyone);
    }
}
