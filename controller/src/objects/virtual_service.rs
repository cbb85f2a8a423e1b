//! The `VirtualService`: how callers reach primary, and the canary while a rollout runs.
//!
//! Route names tell the filter whose a request is, and the canary's route matches the run's nonce exactly. Weights
//! stand in here for callers outside of every scope alone.

mod matches;
mod ports;
mod rules;

use kube::core::DynamicObject;
use serde_json::{Value, json};
use serin_api::canary::Unscoped;
use serin_rollout::Desired;
use serin_route::{Kind as RouteKind, Otherwise, Rollout, TRACK_HEADER, Track, Weight, route_name};

use self::matches::Scope;
use super::facts::{Facts, Observed};
use super::services::{dress, track_service};
use super::target::Target;
use super::{ObjectRef, Wanted, adopt};
use crate::istio::{
    Destination, Fields, HeaderOperations, Headers, HttpRoute, RouteDestination, VirtualService,
};
use crate::kind::Kind;
use crate::scope::MESH;

/// The `VirtualService`. Until primary serves there is none of ours, and one of another's stays as it is.
pub(super) fn virtual_service(
    facts: &Facts,
    desired: &Desired,
    seen: &Observed,
    target: &Target<'_>,
) -> Option<Wanted> {
    if !desired.initialized {
        let keep = ObjectRef { kind: Kind::VirtualService, name: facts.apex.clone() };
        return seen.virtual_service.is_some().then_some(Wanted::Keep(keep));
    }
    let data = json!({ "spec": spec(facts, desired) });
    let mut object: DynamicObject = facts.identity.object(Kind::VirtualService, &facts.apex, data);
    dress(&mut object, facts.service.apex.as_ref(), target.label, &facts.apex);
    let found = seen.virtual_service.as_ref();
    adopt::mark(&mut object, &facts.identity, found, adopt::virtual_service);
    Some(Wanted::Apply(Box::new(object)))
}

fn spec(facts: &Facts, desired: &Desired) -> VirtualService {
    let service = &facts.service;
    let http = routes(facts, desired).into_iter();
    let http = http.flat_map(|route| ports::with_ports(facts, route)).collect();
    if service.delegation {
        return VirtualService { http, ..VirtualService::default() };
    }
    let mut hosts = service.hosts.clone();
    if !hosts.iter().any(|host| *host == facts.apex || host == "*") {
        hosts.push(facts.apex.clone());
    }
    let mut gateways = service.gateways.clone();
    if gateways.is_empty() {
        gateways.push(MESH.to_owned());
    }
    VirtualService { hosts, gateways, http }
}

/// The canary's, then the default; between them, if weights hold outside of the scopes, the default of each scope.
fn routes(facts: &Facts, desired: &Desired) -> Vec<HttpRoute> {
    let rollout = desired.rollout.as_ref();
    let matching: Vec<Fields> = facts.service.matching.iter().map(|it| it.0.clone()).collect();
    let mut routes = Vec::new();
    if let (true, Some(rollout)) = (desired.canary_route, rollout) {
        let matching = matches::with_header(&matching, TRACK_HEADER, &rollout.nonce);
        // Without an entry the route would match everything.
        if !matching.is_empty() {
            routes.push(to(facts, RouteKind::Canary, matching, Track::Canary));
        }
    }
    let outsiders = rollout.filter(|_| meets_outsiders(facts, desired));
    match (desired.default, outsiders) {
        (Track::Canary, _) => routes.push(to(facts, RouteKind::Failover, matching, Track::Canary)),
        (Track::Primary, None) => {
            routes.push(to(facts, RouteKind::Primary, matching, Track::Primary));
        }
        (Track::Primary, Some(rollout)) => {
            for scope in Scope::of(facts) {
                let matching = matches::within(&matching, &scope);
                if !matching.is_empty() {
                    routes.push(to(facts, RouteKind::Primary, matching, Track::Primary));
                }
            }
            routes.extend(unscoped(facts, rollout, &matching));
        }
    }
    routes
}

/// Whether callers outside of every scope are to meet the canary.
fn meets_outsiders(facts: &Facts, desired: &Desired) -> bool {
    facts.unscoped == Unscoped::Weights && desired.canary_route && !facts.callers.everyone()
}

/// What callers outside of every scope get: the rollout's rules and weight, as far as Istio can express them.
fn unscoped(facts: &Facts, rollout: &Rollout, matching: &[Fields]) -> Vec<HttpRoute> {
    let Some(ruled) = rules::matched(&rollout.rules, matching, rollout.weight) else {
        return vec![weighted(facts, matching.to_vec(), Weight::ZERO)];
    };
    let ruled = ruled.into_iter().map(|(matching, weight)| weighted(facts, matching, weight));
    let rest = match rollout.otherwise {
        Otherwise::Weighted => rollout.weight,
        Otherwise::Primary => Weight::ZERO,
    };
    ruled.chain([weighted(facts, matching.to_vec(), rest)]).collect()
}

fn weighted(facts: &Facts, matching: Vec<Fields>, canary: Weight) -> HttpRoute {
    let mut route = to(facts, RouteKind::Unscoped, matching, Track::Primary);
    let (primary_share, canary_share) = shares(canary);
    route.route = [(Track::Primary, primary_share), (Track::Canary, canary_share)]
        .map(|(track, share)| RouteDestination { weight: Some(share), ..destination(facts, track) })
        .into();
    route
}

/// In percent if they are whole, as people expect to read them; else in basis points.
fn shares(canary: Weight) -> (u16, u16) {
    let (points, all) = (canary.basis_points(), Weight::FULL.basis_points());
    let unit = if points.is_multiple_of(100) { 100 } else { 1 };
    ((all - points) / unit, points / unit)
}

fn to(facts: &Facts, kind: RouteKind, matching: Vec<Fields>, track: Track) -> HttpRoute {
    HttpRoute {
        name: route_name(&facts.apex, &facts.identity.namespace, kind),
        matching,
        route: vec![destination(facts, track)],
        given: given(facts),
    }
}

fn destination(facts: &Facts, track: Track) -> RouteDestination {
    RouteDestination {
        destination: Destination { host: track_service(facts, track), port: None },
        weight: None,
        // Here and not in the route's own `headers`: those would replace what the root of a delegate says.
        headers: Headers { request: HeaderOperations { remove: vec![TRACK_HEADER.to_owned()] } },
    }
}

/// What the author asked for, on every route alike.
fn given(facts: &Facts) -> Fields {
    let service = &facts.service;
    let mut rewrite = service.rewrite.clone();
    if let Some(rewrite) = &mut rewrite {
        // Gateway API's; Istio's schema refuses it.
        rewrite.0.remove("type");
    }
    let parts = [
        ("rewrite", rewrite.map(|it| it.0)),
        ("retries", service.retries.as_ref().map(|it| it.0.clone())),
        ("headers", service.headers.as_ref().map(|it| it.0.clone())),
        ("corsPolicy", service.cors_policy.as_ref().map(|it| it.0.clone())),
    ];
    let parts = parts.into_iter().filter_map(|(name, part)| Some((name.to_owned(), part?.into())));
    let timeout = service.timeout.iter().filter(|timeout| !timeout.is_empty());
    let timeout = timeout.map(|timeout| ("timeout".to_owned(), Value::from(timeout.as_str())));
    parts.chain(timeout).collect()
}

#[cfg(test)]
mod tests;
