//! Which port of its service a route leads to, where a service has several.
//!
//! A sidecar knows: the one that was called. A gateway does not, so its routes say the author's port; were a
//! sidecar's to say it too, calls of the other ports would end there. Flagger goes by the first of the gateways,
//! and sends them there.

use super::matches::{self, Scope};
use crate::istio::{Fields, HttpRoute, Port};
use crate::objects::facts::Facts;
use crate::scope::{MESH, gateway_name};

/// A route with its ports: two routes if both gateways and sidecars take it.
pub(super) fn with_ports(facts: &Facts, mut route: HttpRoute) -> Vec<HttpRoute> {
    let service = &facts.service;
    let gateways: Vec<_> = service.gateways.iter().filter(|name| *name != MESH).collect();
    if !service.port_discovery || (gateways.is_empty() && !service.delegation) {
        return vec![route];
    }
    if service.delegation || gateways.len() == service.gateways.len() {
        set(&mut route, service.port);
        return vec![route];
    }
    let home = &facts.identity.namespace;
    let scopes = gateways.iter().map(|name| Scope::Gateway(gateway_name(name, home)));
    let there = scopes.flat_map(|scope| matches::within(&route.matching, &scope)).collect();
    let mut at_gateways = HttpRoute { matching: there, ..route.clone() };
    set(&mut at_gateways, service.port);
    let all = route.matching.is_empty();
    route.matching.retain(by_sidecars);
    let parts = [(at_gateways, false), (route, all)].into_iter();
    // Without an entry a route would match everything.
    parts.filter(|(part, all)| *all || !part.matching.is_empty()).map(|(part, _)| part).collect()
}

fn by_sidecars(entry: &Fields) -> bool {
    let gateways = matches::names(entry.get("gateways"));
    gateways.is_empty() || gateways.contains(&MESH)
}

fn set(route: &mut HttpRoute, number: i32) {
    for to in &mut route.route {
        to.destination.port = Some(Port { number });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::facts;
    use crate::istio::{Destination, HeaderOperations, Headers, RouteDestination};
    use serde_json::{Value, json};

    /// The entries and the port of each route that comes of one.
    fn parts(gateways: &[&str], delegation: bool, entries: &Value) -> Vec<(Value, Option<i32>)> {
        let mut facts = facts();
        facts.service.port_discovery = true;
        facts.service.delegation = delegation;
        facts.service.gateways = gateways.iter().map(|name| (*name).to_owned()).collect();
        let entries = entries.as_array().unwrap().iter();
        let to = RouteDestination {
            destination: Destination { host: "store-primary".into(), port: None },
            weight: None,
            headers: Headers { request: HeaderOperations { remove: vec![] } },
        };
        let route = HttpRoute {
            matching: entries.map(|entry| entry.as_object().unwrap().clone()).collect(),
            route: vec![to],
            ..HttpRoute::default()
        };
        let routes = with_ports(&facts, route).into_iter();
        let port = |route: &HttpRoute| route.route[0].destination.port.map(|port| port.number);
        routes.map(|route| (json!(route.matching), port(&route))).collect()
    }

    #[test]
    fn sidecars_lead_to_the_port_that_was_called_and_gateways_to_the_authors() {
        let none = json!([]);
        assert_eq!(parts(&[], false, &none), [(none.clone(), None)]);
        assert_eq!(parts(&["mesh"], false, &none), [(none.clone(), None)]);
        assert_eq!(parts(&["a/b"], false, &none), [(none.clone(), Some(80))]);
        assert_eq!(parts(&[], true, &none), [(none.clone(), Some(80))]);
        let there = json!([{ "gateways": ["a/b"] }]);
        assert_eq!(parts(&["a/b", "mesh"], false, &none), [(there, Some(80)), (none, None)]);
    }

    #[test]
    fn an_entry_for_one_of_them_stays_with_it() {
        let both = ["mesh", "a/b"];
        let gateways = json!([{ "gateways": ["a/b"], "uri": {} }]);
        assert_eq!(parts(&both, false, &gateways), [(gateways, Some(80))]);
        let sidecars = json!([{ "sourceNamespace": "test" }]);
        assert_eq!(parts(&both, false, &sidecars), [(sidecars, None)]);
        let mixed = json!([{ "gateways": ["mesh"] }, { "uri": {} }]);
        let there = json!([{ "gateways": ["a/b"], "uri": {} }]);
        assert_eq!(parts(&both, false, &mixed), [(there, Some(80)), (mixed, None)]);
    }
}
