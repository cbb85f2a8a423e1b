//! What holds for every Canary at every moment.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::BTreeSet;

use common::{World, before, status};
use kube::core::DynamicObject;
use proptest::prelude::*;
use serde_json::{Value, json};
use serin_api::keys;
use serin_controller::kind::Kind;
use serin_controller::objects::{Effect, Objects};
use serin_rollout::{Phase, Stage, Status};
use serin_route::{Labels, Router};

fn phases() -> impl Strategy<Value = (Phase, Option<Stage>)> {
    prop_oneof![
        Just((Phase::Initializing, None)),
        Just((Phase::Initialized, None)),
        Just((Phase::Waiting, None)),
        Just((Phase::Progressing, Some(Stage::Preparing))),
        Just((Phase::Progressing, Some(Stage::Analysing))),
        Just((Phase::WaitingPromotion, Some(Stage::Analysing))),
        Just((Phase::Promoting, Some(Stage::Analysing))),
        Just((Phase::Promoting, Some(Stage::Failover))),
        Just((Phase::Finalising, Some(Stage::Ending))),
        Just((Phase::Failed, Some(Stage::Ending))),
        Just((Phase::Failed, Some(Stage::Settled))),
        Just((Phase::Failed, Some(Stage::Failover))),
        Just((Phase::Succeeded, Some(Stage::Settled))),
    ]
}

/// What a Canary's author may write, of both groups.
fn canaries() -> impl Strategy<Value = Value> {
    let groups = prop_oneof![Just("serin.dev"), Just("flagger.app")];
    let gateways = prop_oneof![
        Just(json!([])),
        Just(json!(["mesh"])),
        Just(json!(["istio-system/public"])),
        Just(json!(["public.istio-system", "mesh"])),
    ];
    let entry = prop_oneof![
        Just(json!({ "uri": { "prefix": "/a" } })),
        Just(json!({ "headers": { "x-b": { "exact": "c" } }, "sourceLabels": { "a": "b" } })),
        Just(json!({ "gateways": ["mesh"] })),
        Just(json!({ "sourceNamespace": "elsewhere" })),
    ];
    let schedule = prop_oneof![
        Just(json!({ "stepWeight": 10, "maxWeight": 50 })),
        Just(json!({ "stepWeights": [1, 30] })),
        Just(json!({ "iterations": 2 })),
        Just(json!({ "iterations": 2, "match": [{ "headers": { "x-b": { "suffix": "d" } } }] })),
        Just(json!({ "stepWeight": 5, "match": [
            { "queryParams": { "q": { "prefix": "e" } } }, { "sourceLabels": { "app": "web" } },
        ]})),
    ];
    let entries = prop::collection::vec(entry, 0..3);
    (groups, gateways, entries, schedule, any::<(bool, bool, bool)>()).prop_map(
        |(group, gateways, entries, mut analysis, (delegation, discovery, named))| {
            analysis["interval"] = json!("30s");
            analysis["threshold"] = json!(2);
            let mut service = json!({ "port": 80, "match": entries, "portDiscovery": discovery,
                "delegation": delegation });
            if !delegation {
                service["gateways"] = gateways;
            }
            if named {
                service["name"] = json!("store");
            }
            json!({
                "apiVersion": format!("{group}/v1beta1"), "kind": "Canary",
                "metadata": { "name": "release", "namespace": "prod", "uid": "u-1" },
                "spec": { "targetRef": { "kind": "Deployment", "name": "shop" },
                          "service": service, "analysis": analysis },
            })
        },
    )
}

fn given(tracked: bool, adopted: bool) -> Vec<DynamicObject> {
    let object = |value: Value| serde_json::from_value(value).unwrap();
    let from = if tracked { json!([{ "configMapRef": { "name": "env" } }]) } else { json!([]) };
    let mut all = vec![
        object(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "shop", "namespace": "prod" },
            "spec": {
                "replicas": 2, "selector": { "matchLabels": { "app": "web" } },
                "template": { "metadata": { "labels": { "app": "web" } }, "spec": { "containers": [
                    { "name": "web", "image": "shop:1", "envFrom": from,
                      "ports": [{ "containerPort": 80 }, { "containerPort": 81 }] },
                ]}},
            },
            "status": { "availableReplicas": 2 },
        })),
        object(json!({ "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "env", "namespace": "prod" }, "data": { "a": "1" } })),
        object(json!({ "apiVersion": "networking.istio.io/v1beta1", "kind": "Gateway",
            "metadata": { "name": "public", "namespace": "istio-system" },
            "spec": { "selector": { "istio": "ingressgateway" } } })),
    ];
    for apex in ["shop", "store"].iter().filter(|_| adopted) {
        all.push(object(json!({ "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": apex, "namespace": "prod" },
            "spec": { "selector": { "app": "web" }, "ports": [{ "port": 80 }] } })));
    }
    all
}

#[derive(Clone, Debug)]
struct Case {
    canary: Value,
    tracked: bool,
    adopted: bool,
    course: Vec<((Phase, Option<Stage>), u8)>,
}

fn cases() -> impl Strategy<Value = Case> {
    let course = prop::collection::vec((phases(), 0_u8..=100), 1..6);
    (canaries(), any::<bool>(), any::<bool>(), course)
        .prop_map(|(canary, tracked, adopted, course)| Case { canary, tracked, adopted, course })
}

/// Lives through a case; `look` is shown each moment before it is applied.
fn live(case: &Case, mut look: impl FnMut(&mut World, &Status)) {
    let text = serde_json::to_string(&case.canary).unwrap();
    let read = serin_api::read(&text).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    let mut world = World::new(&read, &given(case.tracked, case.adopted));
    let old = world.seen.revision.clone();
    let first = before(Phase::Initializing, &old);
    let made = world.objects(&first);
    world.apply(&made);
    for ((phase, stage), percent) in &case.course {
        if stage.is_some() && world.seen.revision == old {
            world.set_image("shop:2");
        }
        let new = world.seen.revision.clone();
        let status = match stage {
            Some(stage) => status(*phase, *stage, *percent, &old, &new),
            None => before(*phase, &old),
        };
        look(&mut world, &status);
        let made = world.objects(&status);
        world.apply(&made);
    }
}

fn named(made: &[DynamicObject], kind: Kind) -> impl Iterator<Item = &DynamicObject> {
    made.iter().filter(move |it| Kind::of(it) == Some(kind))
}

fn name(object: &DynamicObject) -> &str {
    object.metadata.name.as_deref().unwrap()
}

/// The routes of what is applied, each with its kind.
fn routes(made: &[DynamicObject]) -> Vec<(String, Value)> {
    let specs = named(made, Kind::VirtualService).map(|it| it.data["spec"]["http"].clone());
    let routes = specs.flat_map(|http| http.as_array().cloned().unwrap());
    routes
        .map(|route| {
            let kind = route["name"].as_str().unwrap().rsplit_once('/').unwrap().1.to_owned();
            (kind, route)
        })
        .collect()
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 200, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    /// Applied and seen, the same projection asks for the same objects, and scales nothing any more.
    #[test]
    fn applying_twice_is_applying_once(case in cases()) {
        live(&case, |world, status| {
            let once = world.objects(status);
            world.apply(&once);
            let twice = world.objects(status);
            assert_eq!(twice.scales, [], "{status:?}");
            assert_eq!(Objects { scales: vec![], ..once }, twice, "{status:?}");
        });
    }

    #[test]
    fn no_route_leads_to_a_service_that_is_not_there(case in cases()) {
        live(&case, |world, status| {
            let made: Vec<_> = world.objects(status).applied().collect();
            let services: BTreeSet<_> = named(&made, Kind::Service).map(name).collect();
            for (_, route) in routes(&made) {
                for to in route["route"].as_array().unwrap() {
                    let host = to["destination"]["host"].as_str().unwrap();
                    assert!(services.contains(host), "{host} is none of {services:?}");
                    assert!(to["destination"].get("subset").is_none());
                }
            }
            for rule in named(&made, Kind::DestinationRule) {
                assert!(services.contains(rule.data["spec"]["host"].as_str().unwrap()));
            }
        });
    }

    #[test]
    fn shares_sum_to_all_and_every_way_removes_the_steering_header(case in cases()) {
        live(&case, |world, status| {
            let made: Vec<_> = world.objects(status).applied().collect();
            for (kind, route) in routes(&made) {
                let to = route["route"].as_array().unwrap();
                let shares: Vec<_> = to.iter().filter_map(|it| it["weight"].as_u64()).collect();
                let sum: u64 = shares.iter().sum();
                assert_eq!(shares.len(), if kind == "unscoped" { 2 } else { 0 });
                assert!(shares.is_empty() || sum == 100 || sum == 10_000, "{shares:?}");
                for it in to {
                    assert_eq!(it["headers"]["request"]["remove"], json!(["x-serin-track"]));
                }
            }
        });
    }

    /// The canary's route is there exactly while a rollout steers to it, every entry of it wants the nonce, and
    /// nothing else but a failover or a weight leads to the canary.
    #[test]
    fn nobody_meets_the_canary_unasked(case in cases()) {
        live(&case, |world, status| {
            let desired = world.desired(status);
            let made: Vec<_> = world.objects(status).applied().collect();
            let routes = routes(&made);
            let has_canary = routes.iter().any(|(kind, _)| kind == "canary");
            assert_eq!(has_canary, desired.canary_route && desired.initialized);
            for (kind, route) in &routes {
                let ways = route["route"].as_array().unwrap().iter();
                let leads = ways.filter(|to| {
                    let host = to["destination"]["host"].as_str().unwrap();
                    host.ends_with(keys::CANARY_SUFFIX) && to["weight"] != json!(0)
                });
                match (kind.as_str(), leads.count()) {
                    ("canary", 1) => {
                        let entries = route["match"].as_array().unwrap();
                        let nonce = &desired.rollout.as_ref().unwrap().nonce;
                        assert!(!entries.is_empty() && entries.iter().all(|entry| {
                            entry["headers"]["x-serin-track"]["exact"] == nonce.as_str()
                        }));
                    }
                    ("failover", 1) => assert_eq!(desired.default, serin_route::Track::Canary),
                    ("unscoped", 1) => {
                        assert!(desired.rollout.as_ref().unwrap().weight.basis_points() > 0);
                    }
                    (kind, 0) => assert!(kind == "primary" || kind == "unscoped", "{kind}"),
                    other => panic!("{other:?}"),
                }
            }
            let last = routes.last().map(|(kind, _)| kind.as_str());
            assert!(!desired.initialized || last.is_some_and(|kind| kind != "canary"));
        });
    }

    /// The kinds that the filter reads off a name are the ones that were written.
    #[test]
    fn the_filter_finds_itself_in_every_route(case in cases()) {
        live(&case, |world, status| {
            let Some(rollout) = world.desired(status).rollout else { return };
            let plugin = world.plugins(status).pop().unwrap();
            let config = plugin.data["spec"]["pluginConfig"].to_string();
            let router = Router::parse(config.as_bytes(), &Labels::new()).unwrap();
            assert_eq!(router.table().rollouts, [rollout]);
            let made: Vec<_> = world.objects(status).applied().collect();
            for (kind, route) in routes(&made) {
                let place = router.locate(route["name"].as_str().unwrap().as_bytes()).unwrap();
                assert_eq!(place.kind.as_str(), kind);
            }
        });
    }

    #[test]
    fn everything_is_labelled_and_owned_or_can_become_what_it_was(case in cases()) {
        live(&case, |world, status| {
            for it in world.objects(status).applied() {
                let metadata = &it.metadata;
                assert_eq!(metadata.labels.as_ref().unwrap()[keys::OWNER], "release");
                assert_eq!(metadata.namespace.as_deref(), Some("prod"));
                let annotations = metadata.annotations.as_ref().unwrap();
                assert!(keys::FLUX_OFF.iter().all(|(key, value)| annotations[*key] == *value));
                let adopted = annotations.contains_key(keys::ORIGINAL);
                assert_ne!(world.facts.identity.owns(&it), adopted, "{}", name(&it));
                assert!(!adopted || case.adopted);
            }
        });
    }

    /// A primary that is deleted comes back as it was, size included. (Before it has served, nothing was promised:
    /// then it comes back as the target is.)
    #[test]
    fn what_is_deleted_comes_back(case in cases()) {
        live(&case, |world, status| {
            if status.phase == Phase::Initializing {
                return;
            }
            let made = world.objects(status);
            world.apply(&made);
            let before = world.objects(status);
            let seen = world.seen.clone();
            world.seen.primary = None;
            let after = world.objects(status);
            assert!(after.gaps.is_empty(), "{:?}", after.gaps);
            let scaled = after.clone().effects().into_iter().find_map(|effect| match effect {
                Effect::Scale(scale) if scale.name == "shop-primary" => Some(scale.replicas),
                _ => None,
            });
            // One is what Kubernetes makes of it anyway.
            assert_eq!(scaled.unwrap_or(1), seen.primary_replicas.unwrap());
            assert_eq!(Objects { scales: vec![], ..after }, Objects { scales: vec![], ..before });
            world.seen = seen;
        });
    }

    /// Primary's pods can start: what they read is there.
    #[test]
    fn primary_reads_what_exists(case in cases()) {
        live(&case, |world, status| {
            let made = world.objects(status);
            world.apply(&made);
            for it in named(&made.applied().collect::<Vec<_>>(), Kind::Deployment) {
                assert!(world.has_all_of(&it.data["spec"]["template"]));
                let labels = &it.data["spec"]["template"]["metadata"]["labels"];
                assert_eq!(labels["app"], it.data["spec"]["selector"]["matchLabels"]["app"]);
            }
        });
    }
}
