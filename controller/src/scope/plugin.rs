//! The `WasmPlugin` of a scope.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::{DynamicObject, ObjectMeta};
use serde_json::{Value, json};
use serin_api::keys;
use serin_route::{Reports, Rollout, Table};

use super::{Module, Scope};
use crate::feed::Hints;
use crate::identity::flux_off;
use crate::istio::{self, Selector, TrafficSelector, WasmPlugin};
use crate::kind::Kind;

/// Of a plugin whose VMs stopped reporting: another config starts them anew. The filter reads nothing from it.
const REVIVED: &str = "revived";

/// What the installer decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// Istio's root namespace.
    pub root_namespace: String,
    /// The module.
    pub module: Module,
    /// Secret of the module's registry; it must be in each plugin's namespace.
    pub pull_secret: Option<String>,
    /// Where reports go.
    pub receiver: Receiver,
}

/// The receiver of reports: a Service of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// Its name.
    pub service: String,
    /// Its namespace.
    pub namespace: String,
    /// Its port.
    pub port: u16,
    /// `cluster.local`.
    pub domain: String,
    /// Of the call.
    pub path: String,
    /// Milliseconds between two reports of a proxy's thread while a rollout runs.
    pub period_ms: u32,
}

/// What else the plugin of one scope says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order<'a> {
    /// The scope's token.
    pub token: &'a str,
    /// How often its VMs had to be revived.
    pub revived: u64,
}

impl Installation {
    /// Names that a person needs who looks for lost reports.
    pub(crate) fn hints(&self) -> Hints {
        let Receiver { service, namespace, period_ms, .. } = &self.receiver;
        Hints {
            module: self.module.url().to_owned(),
            service: format!("{service}.{namespace}"),
            period_ms: *period_ms,
        }
    }
}

impl Receiver {
    fn reports(&self, token: &str) -> Reports {
        let Self { service, namespace, port, domain, path, period_ms } = self;
        let host = format!("{service}.{namespace}.svc.{domain}");
        Reports {
            cluster: format!("outbound|{port}||{host}"),
            authority: format!("{host}:{port}"),
            path: path.clone(),
            token: token.to_owned(),
            period_ms: *period_ms,
        }
    }
}

/// The plugin of a scope, with the rollouts that its Envoys may reach; `all` are the scopes that there are, this
/// one among them.
pub fn plugin(
    scope: &Scope,
    rollouts: &[Rollout],
    all: &BTreeSet<Scope>,
    order: Order<'_>,
    installation: &Installation,
) -> DynamicObject {
    let table = Table {
        scope: scope.name(),
        claim: all.iter().any(|other| scope.overlaps(other)),
        reports: Some(installation.receiver.reports(order.token)),
        rollouts: rollouts.to_vec(),
        ..Table::default()
    };
    let mut config = istio::json(&table);
    if order.revived > 0 {
        config[REVIVED] = order.revived.into();
    }
    let selector = match scope {
        Scope::Gateway(labels) => Some(Selector { match_labels: labels.clone() }),
        Scope::Namespace(_) | Scope::Mesh => None,
    };
    let spec = WasmPlugin {
        selector,
        url: installation.module.url().to_owned(),
        image_pull_secret: installation.pull_secret.clone(),
        plugin_name: keys::PLUGIN.to_owned(),
        // After authentication and authorisation: what they refuse is no request of a rollout.
        phase: "UNSPECIFIED_PHASE",
        priority: scope.priority(),
        // With any other, a module that cannot be fetched answers every request with 403.
        fail_strategy: "FAIL_OPEN",
        matching: vec![TrafficSelector { mode: "CLIENT" }],
        plugin_config: config,
    };
    dressed(scope, &installation.root_namespace, json!({ "spec": spec }))
}

fn dressed(scope: &Scope, root: &str, data: Value) -> DynamicObject {
    let kind = Kind::WasmPlugin.resource();
    let mut object = DynamicObject::new("", &kind).data(data);
    let labels = [(keys::MANAGED_BY, keys::FIELD_MANAGER), (keys::SCOPE, scope.sort())];
    let labels: BTreeMap<_, _> =
        labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    object.metadata = ObjectMeta {
        name: Some(scope.plugin_name()),
        namespace: Some(scope.plugin_namespace(root).to_owned()),
        labels: Some(labels),
        annotations: Some(flux_off()),
        ..ObjectMeta::default()
    };
    object
}

/// How often the VMs of a plugin that was found had to be revived.
pub(crate) fn revived(found: &DynamicObject) -> u64 {
    found.data["spec"]["pluginConfig"][REVIVED].as_u64().unwrap_or(0)
}

/// Whether a plugin that was found is ours and of no scope any more, so that it is to be deleted.
pub fn is_stale(found: &DynamicObject, all: &BTreeSet<Scope>, root: &str) -> bool {
    let labels = found.metadata.labels.as_ref();
    let is = |key: &str, value: Option<&str>| {
        let label = labels.and_then(|labels| labels.get(key)).map(String::as_str);
        label.is_some() && (value.is_none() || label == value)
    };
    let ours = is(keys::MANAGED_BY, Some(keys::FIELD_MANAGER)) && is(keys::SCOPE, None);
    let place = (found.metadata.namespace.as_deref(), found.metadata.name.as_deref());
    let wanted = all.iter().any(|scope| {
        place == (Some(scope.plugin_namespace(root)), Some(scope.plugin_name().as_str()))
    });
    ours && !wanted
}
