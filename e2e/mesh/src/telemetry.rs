//! The stand-in for Istio's telemetry, where Envoy lacks the real one.

use anyhow::Result;
use serde_json::json;

use crate::space::Space;

/// Has the sidecars of a namespace count as Istio's do; nothing is done where they count by themselves.
pub async fn stand_in(space: &Space, namespace: &str) -> Result<()> {
    let settings = &space.mesh.settings;
    let Some(module) = &settings.istio_stats else { return Ok(()) };
    let plugin = json!({
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {"name": "istio-stats"},
        "spec": {
            "url": settings.push(module).await?,
            "phase": "STATS",
            "failStrategy": "FAIL_OPEN",
            "match": [{"mode": "CLIENT_AND_SERVER"}],
        },
    });
    space.apply_in(namespace, plugin).await.map(drop)
}
