//! The definitions that Kubernetes installs, made from the types.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::Group;
use crate::{canary, template};

/// The definition of `Canary` in a group.
pub fn canary_crd(group: Group) -> CustomResourceDefinition {
    of_group(canary::Definition::crd(), group)
}

/// The definition of `MetricTemplate` in a group.
pub fn metric_template_crd(group: Group) -> CustomResourceDefinition {
    of_group(template::Definition::crd(), group)
}

fn of_group(mut definition: CustomResourceDefinition, group: Group) -> CustomResourceDefinition {
    let metadata = &mut definition.metadata;
    metadata.name = Some(format!("{}.{}", definition.spec.names.plural, group.name()));
    let kept = ("helm.sh/resource-policy".to_owned(), "keep".to_owned());
    metadata.annotations.get_or_insert_default().extend([kept]);
    group.name().clone_into(&mut definition.spec.group);
    definition
}
