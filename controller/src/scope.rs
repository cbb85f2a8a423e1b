//! Scopes: which Envoys must know a rollout, and the `WasmPlugin` that tells them.
//!
//! One plugin for each scope, its config the table of all rollouts that the scope's Envoys may reach, and empty
//! while there is none: plugins are there before any rollout. They are written by a reconciler of their own, from
//! committed statuses, and found again by label: an owner cannot lie in another namespace.

mod callers;
mod module;
mod plugin;
mod tables;

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use serin_api::keys;
use siphasher::sip::SipHasher13;

pub(crate) use self::callers::delegates;
pub use self::callers::{Callers, Entrances, Gateway, Reach, gateway_name};
pub use self::module::{Module, ModuleError};
pub(crate) use self::plugin::revived;
pub use self::plugin::{Installation, Order, Receiver, is_stale, plugin};
pub use self::tables::{Member, Refused, Tables, tables};

/// The gateway that means all sidecars.
pub(crate) const MESH: &str = "mesh";
/// Characters of a selector in a plugin's name, before its hash.
const SHOWN_MAX: usize = 63;

/// Labels, as Istio selects pods.
pub type Labels = BTreeMap<String, String>;

/// The Envoys that one plugin reaches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// All proxies of a namespace.
    Namespace(String),
    /// The gateway pods that a Gateway selects, in whatever namespace. Gateways with one selector are one scope.
    Gateway(Labels),
    /// Every proxy.
    Mesh,
}

impl Scope {
    /// Its name, in the table and in reports: `namespace/prod`, `gateway/istio-ingressgateway-…`, `mesh`.
    pub fn name(&self) -> String {
        match self {
            Self::Namespace(namespace) => format!("{}/{namespace}", self.sort()),
            Self::Gateway(selector) => format!("{}/{}", self.sort(), shown(selector)),
            Self::Mesh => self.sort().to_owned(),
        }
    }

    /// The name of its plugin.
    pub fn plugin_name(&self) -> String {
        match self {
            Self::Namespace(_) => keys::PLUGIN.to_owned(),
            Self::Gateway(selector) => format!("{}-gateway-{}", keys::PLUGIN, shown(selector)),
            Self::Mesh => format!("{}-mesh", keys::PLUGIN),
        }
    }

    /// The namespace of its plugin: Gateways select pods of all namespaces, and only the root's plugins do so too.
    pub fn plugin_namespace<'n>(&'n self, root: &'n str) -> &'n str {
        match self {
            Self::Namespace(namespace) => namespace,
            Self::Gateway(_) | Self::Mesh => root,
        }
    }

    /// The value of its label.
    pub(crate) const fn sort(&self) -> &'static str {
        match self {
            Self::Namespace(_) => "namespace",
            Self::Gateway(_) => "gateway",
            Self::Mesh => "mesh",
        }
    }

    /// The more specific runs first, and claims the stream.
    const fn priority(&self) -> i32 {
        match self {
            Self::Gateway(_) => 30,
            Self::Namespace(_) => 20,
            Self::Mesh => 10,
        }
    }

    /// Whether an Envoy may be in both.
    fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (one, other) if one == other => false,
            (Self::Namespace(_), Self::Namespace(_)) => false,
            (Self::Gateway(one), Self::Gateway(other)) => {
                one.iter().all(|(key, value)| other.get(key).is_none_or(|it| it == value))
            }
            _ => true,
        }
    }
}

/// A selector as a part of a name: what a person can read of it, and a hash of all of it.
fn shown(selector: &Labels) -> String {
    let pairs = selector.iter().map(|(key, value)| format!("{key}-{value}"));
    let text = pairs.collect::<Vec<_>>().join("-").to_ascii_lowercase();
    let keep = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let text: String = text.chars().map(keep).take(SHOWN_MAX).collect();
    let map: Map<String, Value> =
        selector.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
    let hash = SipHasher13::new().hash(Value::Object(map).to_string().as_bytes());
    format!("{}-{:08x}", text.trim_matches('-'), hash & 0xffff_ffff)
}

#[cfg(test)]
mod tests;
