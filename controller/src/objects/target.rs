//! The target as we read it: what tells its pods apart, and what a copy of it may carry.

use std::collections::BTreeMap;

use kube::core::DynamicObject;
use serde_json::Value;
use serin_api::keys;

use super::ProjectionError;

/// A target Deployment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'o> {
    /// The label by which its pods are selected.
    pub(crate) label: &'o str,
    /// The value of that label, which need not be the Deployment's name.
    pub(crate) value: &'o str,
    /// `spec`.
    pub(crate) spec: &'o Value,
    /// The whole.
    pub(crate) object: &'o DynamicObject,
}

impl<'o> Target<'o> {
    pub(crate) fn read(object: &'o DynamicObject) -> Result<Self, ProjectionError> {
        let spec = &object.data["spec"];
        let labels = &spec["selector"]["matchLabels"];
        let found = keys::SELECTOR_LABELS
            .iter()
            .find_map(|label| labels[label].as_str().map(|value| (*label, value)));
        let (label, value) = found.ok_or_else(|| ProjectionError::SelectorLabel {
            target: object.metadata.name.clone().unwrap_or_default(),
            namespace: object.metadata.namespace.clone().unwrap_or_default(),
        })?;
        Ok(Self { label, value, spec, object })
    }

    pub(crate) fn template(&self) -> &'o Value {
        &self.spec["template"]
    }

    pub(crate) fn replicas(&self) -> i32 {
        replicas(self.object)
    }

    /// The value of the label on primary's pods.
    pub(crate) fn primary_value(&self) -> String {
        format!("{}{}", self.value, keys::PRIMARY_SUFFIX)
    }

    /// The selector of the target's pods.
    pub(crate) fn canary_selector(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(self.label.to_owned(), self.value.to_owned())])
    }

    /// The selector of primary's pods.
    pub(crate) fn primary_selector(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(self.label.to_owned(), self.primary_value())])
    }
}

/// A workload's `spec.replicas`; Kubernetes' default is one.
pub(crate) fn replicas(workload: &DynamicObject) -> i32 {
    let given = workload.data["spec"]["replicas"].as_i64();
    given.and_then(|replicas| i32::try_from(replicas).ok()).unwrap_or(1)
}

/// A workload's pods that can serve.
pub(crate) fn available(workload: &DynamicObject) -> i64 {
    workload.data["status"]["availableReplicas"].as_i64().unwrap_or(0)
}

/// Labels or annotations that a copy may carry: those of Flux would make it Flux's to prune, and what kubectl or
/// Flagger noted about the original is not true of it.
pub(crate) fn copied(of: Option<&BTreeMap<String, String>>) -> BTreeMap<String, String> {
    let entries = of.into_iter().flatten();
    entries
        .filter(|(key, _)| may_copy(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// As [`copied`], of JSON.
pub(crate) fn retain_copied(of: &mut Value) {
    if let Some(map) = of.as_object_mut() {
        map.retain(|key, _| may_copy(key));
    }
}

fn may_copy(key: &str) -> bool {
    let noted = [keys::LAST_APPLIED, keys::FLAGGER_ID, "deployment.kubernetes.io/revision"];
    !key.contains(keys::FLUX)
        && !keys::DEPLOYERS.iter().any(|prefix| key.starts_with(prefix))
        && !noted.contains(&key)
}
