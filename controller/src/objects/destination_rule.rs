//! The `DestinationRule` of each track: both get the author's traffic policy, so that they are compared like with
//! like.

use serde_json::json;
use serin_route::Track;

use super::Wanted;
use super::facts::Facts;
use super::services::track_service;
use crate::istio::DestinationRule;
use crate::kind::Kind;

/// Primary's and the canary's.
pub(super) fn destination_rules(facts: &Facts) -> Vec<Wanted> {
    let of = |track| {
        let host = track_service(facts, track);
        let traffic_policy = facts.service.traffic_policy.as_ref().map(|policy| policy.0.clone());
        let spec = DestinationRule { host: host.clone(), traffic_policy };
        let object = facts.identity.object(Kind::DestinationRule, &host, json!({ "spec": spec }));
        Wanted::Apply(Box::new(object))
    };
    [Track::Primary, Track::Canary].map(of).into()
}
