//! The definitions: ours, Flagger's where it is served, and Istio's that we write.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use serin_api::{Group, keys};

use super::{Cluster, Finding, hidden};

const INSTALL: &str = "kubectl apply --server-side -k deploy/serin (docs/install.md)";

pub(super) async fn look(cluster: &Cluster) -> Vec<Finding> {
    let api: Api<CustomResourceDefinition> = Api::all(cluster.client.clone());
    let plugin = "wasmplugins.extensions.istio.io";
    let mut findings = Vec::new();
    match api.get_opt(plugin).await {
        Ok(Some(_)) => {}
        Ok(None) => findings.push(Finding::Bad(
            format!("{plugin} is not defined"),
            "Istio's definitions are not installed, or it is older than 1.12".to_owned(),
        )),
        Err(error) => return vec![hidden("definitions", &error)],
    }
    for group in [Group::Serin, Group::Flagger] {
        let name = format!("{}.{}", keys::CANARIES, group.name());
        match api.get_opt(&name).await {
            Ok(definition) => findings.extend(judged(&name, group, definition.as_ref())),
            Err(error) => findings.push(hidden(&name, &error)),
        }
    }
    findings
}

fn judged(
    name: &str,
    group: Group,
    definition: Option<&CustomResourceDefinition>,
) -> Option<Finding> {
    let Some(definition) = definition else {
        let missing = Finding::Bad(format!("{name} is not defined"), INSTALL.to_owned());
        return (group == Group::Serin).then_some(missing);
    };
    let mut versions = definition.spec.versions.iter();
    let Some(version) = versions.find(|it| it.served && it.name == keys::VERSION) else {
        let what = format!("{name} is not served as {}", keys::VERSION);
        return Some(Finding::Bad(what, INSTALL.to_owned()));
    };
    let schema = version.schema.as_ref().and_then(|it| it.open_api_v3_schema.as_ref());
    let status = schema.and_then(|it| it.properties.as_ref()?.get("status")?.properties.as_ref());
    if status.is_some_and(|it| it.contains_key("serin")) {
        return Some(Finding::Good(format!("{name} is defined, {}", keys::VERSION)));
    }
    Some(match group {
        Group::Serin => Finding::Bad(format!("{name} is of another version"), INSTALL.to_owned()),
        Group::Flagger => Finding::Note(
            format!("{name} is Flagger's own: Serin does not serve it"),
            "to let Serin serve it: docs/install.md, \"Coming from Flagger\"".to_owned(),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_without_our_status_is_not_ours() {
        for group in [Group::Serin, Group::Flagger] {
            let mut definition = serin_api::canary_crd(group);
            let good = judged("it", group, Some(&definition));
            assert_eq!(good, Some(Finding::Good("it is defined, v1beta1".to_owned())));
            let schema = definition.spec.versions[0].schema.as_mut().unwrap();
            let schema = schema.open_api_v3_schema.as_mut().unwrap();
            let status = schema.properties.as_mut().unwrap().get_mut("status").unwrap();
            status.properties.as_mut().unwrap().remove("serin");
            let other = judged("it", group, Some(&definition)).unwrap();
            let note = matches!(other, Finding::Note(..));
            assert_eq!((note, group), (group == Group::Flagger, group), "{other:?}");
        }
        assert!(matches!(judged("it", Group::Serin, None), Some(Finding::Bad(..))));
        assert_eq!(judged("it", Group::Flagger, None), None);
    }
}
