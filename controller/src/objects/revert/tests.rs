use super::*;
use crate::fixture::{at_rest, deployment, facts, in_rollout, object};
use crate::objects::{Objects, Wanted, objects};

/// A Canary at rest whose apex Service and `VirtualService` were somebody's before.
fn adopted() -> (Observed, [Value; 2]) {
    let mut target = deployment("shop", "shop:1");
    target.data["spec"]["replicas"] = json!(0);
    target.data["status"] = json!({});
    let service = json!({ "selector": { "app": "web", "tier": "front" },
        "ports": [{ "name": "web", "port": 80, "targetPort": 8080, "nodePort": 30080 }] });
    let routes = json!({ "hosts": ["store"], "http": [{ "route": [{ "destination": { "host": "store" } }] }] });
    let mut found = service.clone();
    found["clusterIP"] = json!("10.0.0.1");
    let seen = Observed {
        primary: Some(deployment("shop-primary", "shop:1")),
        apex: Some(object(Kind::Service, "store", json!({ "spec": found }))),
        virtual_service: Some(object(Kind::VirtualService, "store", json!({ "spec": routes }))),
        ..Observed::new(target, Vec::new())
    };
    (seen, [service, routes])
}

/// Lets what is applied be seen.
fn apply(seen: &mut Observed, made: Objects) {
    let applied = |wanted: Option<Wanted>| match wanted {
        Some(Wanted::Apply(object)) => Some(*object),
        _ => None,
    };
    seen.apex = applied(made.services.into_iter().next());
    seen.virtual_service = applied(made.virtual_service);
}

#[test]
fn pods_come_back_before_traffic_and_traffic_before_what_was() {
    let (mut seen, [service, routes]) = adopted();
    let desired = at_rest(&seen.revision);
    let made = objects(&facts(), &desired, &seen).unwrap();
    apply(&mut seen, made);
    assert!(seen.apex.as_ref().unwrap().metadata.owner_references.is_none());
    let next = |seen: &Observed| revert(&facts(), &desired, seen).unwrap();

    assert_eq!(next(&seen), Revert::Pods(Scale { name: "shop".into(), replicas: 3 }));
    seen.target.data["spec"]["replicas"] = json!(3);
    seen.target.data["status"]["availableReplicas"] = json!(2);
    assert_eq!(next(&seen), Revert::Wait);
    seen.target.data["status"]["availableReplicas"] = json!(3);
    let Revert::Traffic(there) = next(&seen) else { panic!("{:?}", next(&seen)) };
    let made = objects(&facts(), &there, &seen).unwrap();
    apply(&mut seen, made);
    let Revert::Restore { apply, delete } = next(&seen) else { panic!("{:?}", next(&seen)) };
    assert!(delete.is_empty());
    let specs: Vec<_> = apply.iter().map(|it| it.data["spec"].clone()).collect();
    assert_eq!(specs, [service, routes]);
    [seen.apex, seen.virtual_service] = apply.map_both();
    assert_eq!(next(&seen), Revert::Done);
}

trait Both {
    fn map_both(self) -> [Option<DynamicObject>; 2];
}

impl Both for Vec<DynamicObject> {
    fn map_both(self) -> [Option<DynamicObject>; 2] {
        let mut all = self.into_iter();
        [all.next(), all.next()]
    }
}

#[test]
fn what_we_made_ourselves_goes_and_its_routes_go_first() {
    let (mut seen, _) = adopted();
    (seen.apex, seen.virtual_service) = (None, None);
    let desired = at_rest(&seen.revision);
    seen.target = deployment("shop", "shop:1");
    let made = objects(&facts(), &desired, &seen).unwrap();
    apply(&mut seen, made);
    let Revert::Traffic(there) = revert(&facts(), &desired, &seen).unwrap() else { panic!() };
    let made = objects(&facts(), &there, &seen).unwrap();
    apply(&mut seen, made);
    let routes = ObjectRef { kind: Kind::VirtualService, name: "store".into() };
    assert_eq!(
        revert(&facts(), &desired, &seen).unwrap(),
        Revert::Restore { apply: vec![], delete: vec![routes] }
    );
    seen.virtual_service = None;
    assert_eq!(revert(&facts(), &desired, &seen).unwrap(), Revert::Done);
}

#[test]
fn a_rollout_ends_with_its_canary() {
    let ended = while_deleted(&in_rollout("r1", 40));
    assert!(ended.rollout.is_none() && !ended.canary_route && ended.canary_runs);
}

#[test]
fn what_flagger_adopted_becomes_what_it_was_before_flagger() {
    let (mut seen, [_, routes]) = adopted();
    let target = deployment("shop", "shop:1");
    let target = Target::read(&target).unwrap();
    let service = seen.apex.as_mut().unwrap();
    service.data["spec"]["selector"] = json!({ "app": "web-primary" });
    assert_eq!(adopt::service(service, &target)["selector"], json!({ "app": "web" }));
    let applied = json!({ "spec": { "selector": { "tier": "front" } } }).to_string();
    service.metadata.annotations =
        Some([(serin_api::keys::LAST_APPLIED.to_owned(), applied)].into());
    assert_eq!(adopt::service(service, &target)["selector"], json!({ "tier": "front" }));
    let found = seen.virtual_service.as_mut().unwrap();
    assert_eq!(adopt::virtual_service(found), routes);
    let original = json!({ "hosts": ["before"] });
    found.metadata.annotations =
        Some([(serin_api::keys::FLAGGER_ORIGINAL.to_owned(), original.to_string())].into());
    assert_eq!(adopt::virtual_service(found), original);
}
