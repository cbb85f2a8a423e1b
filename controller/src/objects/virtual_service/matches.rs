//! The author's match entries, narrowed: to the steering header, or to the callers of one scope.

use serde_json::{Value, json};

use crate::istio::Fields;
use crate::objects::facts::Facts;
use crate::scope::{self, MESH};

/// Callers of one scope, in Istio's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Pods of a namespace.
    Namespace(String),
    /// A gateway, `NAMESPACE/NAME`.
    Gateway(String),
}

impl Scope {
    /// Those from which this `VirtualService` can be reached.
    pub(super) fn of(facts: &Facts) -> Vec<Self> {
        let callers = &facts.callers;
        let gateways = callers.steered().map(|it| Self::Gateway(it.name.clone()));
        let namespaces = callers.namespaces(&facts.identity.namespace).into_iter();
        let namespaces = namespaces.filter(|_| callers.mesh).map(Self::Namespace);
        gateways.chain(namespaces).collect()
    }
}

/// The entries, each with an exact header beside what it had. One whose headers are no map is left out; Istio
/// refuses it.
pub(super) fn with_header(matching: &[Fields], name: &str, value: &str) -> Vec<Fields> {
    let narrowed = entries(matching).into_iter().filter_map(|mut entry| {
        let headers = entry.entry("headers").or_insert_with(|| json!({}));
        headers.as_object_mut()?.insert(name.to_owned(), json!({ "exact": value }));
        Some(entry)
    });
    narrowed.collect()
}

/// The entries as they hold for callers of a scope; those that never do are left out.
///
/// Istio looks at `sourceNamespace` and `sourceLabels` only where an entry names no gateways. So an entry that
/// names some has lost the former already, and one that has the former cannot be given the latter.
pub(super) fn within(matching: &[Fields], scope: &Scope) -> Vec<Fields> {
    entries(matching).into_iter().filter_map(|entry| narrow(entry, scope)).collect()
}

fn narrow(mut entry: Fields, scope: &Scope) -> Option<Fields> {
    let gateways = names(entry.get("gateways"));
    match scope {
        Scope::Gateway(gateway) => {
            let sourced =
                entry.contains_key("sourceNamespace") || entry.contains_key("sourceLabels");
            let named = gateways.iter().any(|name| is_gateway(name, gateway));
            if if gateways.is_empty() { sourced } else { !named } {
                return None;
            }
            entry.insert("gateways".to_owned(), json!([gateway]));
        }
        Scope::Namespace(namespace) => {
            if gateways.is_empty() {
                let of = entry.get("sourceNamespace").and_then(Value::as_str);
                if of.is_some_and(|of| of != namespace) {
                    return None;
                }
            } else {
                if !gateways.contains(&MESH) {
                    return None;
                }
                entry.remove("gateways");
                entry.remove("sourceLabels");
            }
            entry.insert("sourceNamespace".to_owned(), namespace.as_str().into());
        }
    }
    Some(entry)
}

/// Whether an author's name for a gateway is that of `NAMESPACE/NAME`, or could be.
fn is_gateway(written: &str, gateway: &str) -> bool {
    let home = gateway.split_once('/').map_or("", |(namespace, _)| namespace);
    scope::gateway_name(written, home) == gateway
}

/// The texts of a list.
pub(super) fn names(list: Option<&Value>) -> Vec<&str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Without an entry everything matches: one that is empty says the same.
pub(super) fn entries(matching: &[Fields]) -> Vec<Fields> {
    if matching.is_empty() { vec![Fields::new()] } else { matching.to_vec() }
}
