//! Objects from YAML with names to be filled in, by server-side apply: what a person would hand to `kubectl apply`.

use anyhow::{Context, Result, ensure};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams},
};
use serde_json::Value;

/// Who owns the fields of what the tests make.
const MANAGER: &str = "serin-e2e";

/// Fills `{{name}}`s in. An error if one is left.
pub fn fill(template: &str, values: &[(&str, &str)]) -> Result<String> {
    let mut text = template.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("{{{{{name}}}}}"), value);
    }
    let left = text.split("{{").nth(1).and_then(|rest| rest.split("}}").next());
    ensure!(left.is_none(), "nobody says what {{{{{}}}}} is", left.unwrap_or_default());
    Ok(text)
}

/// The documents of a YAML text.
pub fn documents(yaml: &str) -> Result<Vec<Value>> {
    serde_saphyr::from_multiple(yaml).with_context(|| format!("not YAML: {yaml}"))
}

/// Applies an object in a namespace.
pub async fn apply(client: &Client, namespace: &str, object: Value) -> Result<DynamicObject> {
    let object: DynamicObject = serde_json::from_value(object).context("not an object")?;
    let types = object.types.clone().context("an object has a kind")?;
    let name = object.metadata.name.clone().context("an object has a name")?;
    let resource = resource(&types.api_version, &types.kind);
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let parameters = PatchParams::apply(MANAGER).force();
    api.patch(&name, &parameters, &Patch::Apply(&object))
        .await
        .with_context(|| format!("{} {name} was not applied", types.kind))
}

/// How the API server spells a kind.
pub fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_filled_in_or_named() {
        assert_eq!(fill("a: {{b}}{{b}}", &[("b", "c")]).unwrap(), "a: cc");
        let error = fill("a: {{b}} {{c}}", &[("b", "x")]).unwrap_err().to_string();
        assert_eq!(error, "nobody says what {{c}} is");
    }

    #[test]
    fn kinds_are_spelled_as_the_api_server_does() {
        for (version, kind, plural) in [
            ("v1", "Service", "services"),
            ("networking.istio.io/v1", "Gateway", "gateways"),
            ("security.istio.io/v1", "PeerAuthentication", "peerauthentications"),
            ("extensions.istio.io/v1alpha1", "WasmPlugin", "wasmplugins"),
        ] {
            assert_eq!(resource(version, kind).plural, plural);
        }
    }
}
