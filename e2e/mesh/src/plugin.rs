//! A scope's `WasmPlugin` as the controller writes it: by digest, failing open, its config a table.

use anyhow::Result;
use kube::api::DynamicObject;
use serde_json::{Map, Value, json};
use serin_e2e::table;
use serin_route::{Reports, Rollout, Table};

use crate::{reports::PORT, space::Space};

/// Milliseconds between two reports: half the product's, so that nobody waits for long.
pub const PERIOD_MS: u32 = 500;

/// A `WasmPlugin` that runs, or is to run, our filter.
#[derive(Clone, Debug)]
pub struct Plugin {
    /// The object's namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// Which pods; all of the namespace if there is none.
    pub selector: Option<(String, String)>,
    /// Where the module is.
    pub url: String,
    /// The module's own digest, as `spec.sha256` states it.
    pub sha256: Option<String>,
    /// The receiver's namespace.
    pub receiver: String,
}

impl Plugin {
    /// The filter for all sidecars of a space, reporting to the receiver beside them.
    pub async fn of_sidecars(space: &Space) -> Result<Self> {
        Ok(Self {
            namespace: space.name.clone(),
            name: "serin".to_owned(),
            selector: None,
            url: space.mesh.settings.filter().await?,
            sha256: None,
            receiver: space.name.clone(),
        })
    }

    /// The filter for the ingress gateway, which is in another namespace.
    pub async fn of_gateway(space: &Space) -> Result<Self> {
        let settings = &space.mesh.settings;
        Ok(Self {
            namespace: settings.istio_namespace.clone(),
            name: space.token.clone(),
            selector: Some(settings.gateway_label.clone()),
            ..Self::of_sidecars(space).await?
        })
    }

    /// Puts rollouts in force, and waits for nothing.
    pub async fn put(&self, space: &Space, rollouts: &[Rollout]) -> Result<DynamicObject> {
        let mut spec = json!({
            "url": self.url,
            "failStrategy": "FAIL_OPEN",
            "pluginName": "serin",
            "match": [{"mode": "CLIENT"}],
            "pluginConfig": self.table(rollouts),
        });
        if let Some((key, value)) = &self.selector {
            let labels = Map::from_iter([(key.clone(), Value::from(value.as_str()))]);
            spec["selector"] = json!({"matchLabels": labels});
        }
        if let Some(sha256) = &self.sha256 {
            spec["sha256"] = json!(sha256);
        }
        let object = json!({
            "apiVersion": "extensions.istio.io/v1alpha1",
            "kind": "WasmPlugin",
            "metadata": {"name": self.name},
            "spec": spec,
        });
        space.apply_in(&self.namespace, object).await
    }

    /// The cluster of the receiver, as Envoy names it.
    pub fn cluster(&self) -> String {
        format!("outbound|{PORT}||{}", self.authority())
    }

    fn authority(&self) -> String {
        format!("receiver.{}.svc.cluster.local", self.receiver)
    }

    fn table(&self, rollouts: &[Rollout]) -> Table {
        Table {
            scope: format!("{}.{}", self.name, self.namespace),
            reports: Some(Reports {
                cluster: self.cluster(),
                authority: self.authority(),
                path: serin_e2e::receiver::PATH.to_owned(),
                token: serin_e2e::receiver::TOKEN.to_owned(),
                period_ms: PERIOD_MS,
            }),
            rollouts: rollouts.to_vec(),
            ..Table::default()
        }
    }
}

/// A rollout of a space in its first run, drawing every request by weight.
pub fn rollout(space: &Space, name: &str, generation: u64, percent: u8) -> Rollout {
    let namespace = space.name.clone();
    Rollout { namespace, generation, ..table::rollout(name, percent) }
}
