//! Where an API server keeps an object.

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Where objects like this one are.
pub fn collection(object: &Value) -> Result<String> {
    let version = object["apiVersion"].as_str().context("an object without apiVersion")?;
    let namespace = object["metadata"]["namespace"].as_str().context("it is in no namespace")?;
    let root = if version.contains('/') { "apis" } else { "api" };
    let plural = plural(object["kind"].as_str().context("an object without kind")?)?;
    Ok(format!("/{root}/{version}/namespaces/{namespace}/{plural}"))
}

/// Where this one is.
pub fn path(object: &Value) -> Result<String> {
    let name = object["metadata"]["name"].as_str().context("an object without a name")?;
    Ok(format!("{}/{name}", collection(object)?))
}

fn plural(kind: &str) -> Result<&'static str> {
    Ok(match kind {
        "AlertProvider" => "alertproviders",
        "Canary" => "canaries",
        "ConfigMap" => "configmaps",
        "Deployment" => "deployments",
        "DestinationRule" => "destinationrules",
        "Gateway" => "gateways",
        "HorizontalPodAutoscaler" => "horizontalpodautoscalers",
        "MetricTemplate" => "metrictemplates",
        "Secret" => "secrets",
        "Service" => "services",
        "VirtualService" => "virtualservices",
        "WasmPlugin" => "wasmplugins",
        kind => bail!("objects of kind {kind} are not known here"),
    })
}
