//! The definitions that Kubernetes installs, made from the types.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, JSONSchemaProps,
    JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

use crate::Group;
use crate::{alert, canary, template};

/// What `kubectl get canaries` shows: name, type, path. Flagger's, in its order, for scripts read them.
const COLUMNS: [(&str, &str, &str); 10] = [
    ("Status", "string", ".status.phase"),
    ("Weight", "string", ".status.canaryWeight"),
    ("Suspended", "boolean", ".spec.suspend"),
    ("FailedChecks", "string", ".status.failedChecks"),
    ("Interval", "string", ".spec.analysis.interval"),
    ("Mirror", "boolean", ".spec.analysis.mirror"),
    ("StepWeight", "string", ".spec.analysis.stepWeight"),
    ("StepWeights", "string", ".spec.analysis.stepWeights"),
    ("MaxWeight", "string", ".spec.analysis.maxWeight"),
    ("LastTransitionTime", "string", ".status.lastTransitionTime"),
];
/// Those of them that are always shown; the others are with `-o wide`.
const ALWAYS: [&str; 3] = ["Status", "Weight", "LastTransitionTime"];

/// All definitions of a group.
pub fn crds(group: Group) -> [CustomResourceDefinition; 3] {
    [canary_crd(group), metric_template_crd(group), alert_provider_crd(group)]
}

/// The definition of `Canary` in a group.
pub fn canary_crd(group: Group) -> CustomResourceDefinition {
    let mut definition = of_group(canary::Definition::crd(), group);
    for version in &mut definition.spec.versions {
        version.additional_printer_columns = Some(COLUMNS.map(column).to_vec());
    }
    definition
}

/// The definition of `MetricTemplate` in a group.
pub fn metric_template_crd(group: Group) -> CustomResourceDefinition {
    of_group(template::Definition::crd(), group)
}

/// The definition of `AlertProvider` in a group.
pub fn alert_provider_crd(group: Group) -> CustomResourceDefinition {
    of_group(alert::Definition::crd(), group)
}

fn of_group(mut definition: CustomResourceDefinition, group: Group) -> CustomResourceDefinition {
    let metadata = &mut definition.metadata;
    metadata.name = Some(format!("{}.{}", definition.spec.names.plural, group.name()));
    let kept = ("helm.sh/resource-policy".to_owned(), "keep".to_owned());
    metadata.annotations.get_or_insert_default().extend([kept]);
    group.name().clone_into(&mut definition.spec.group);
    if group == Group::Flagger {
        // Flagger's have none; and where both groups are, a short name means ours without a doubt.
        definition.spec.names.short_names = None;
    }
    for version in &mut definition.spec.versions {
        let schema = version.schema.as_mut().and_then(|it| it.open_api_v3_schema.as_mut());
        if let Some(schema) = schema {
            strip(schema);
        }
    }
    definition
}

/// Takes away what is the derive's and not ours to say. A title is the name of a Rust type, which means nothing to
/// anybody else; a default would be stored in every object, as if its author had written it.
fn strip(schema: &mut JSONSchemaProps) {
    schema.title = None;
    schema.default = None;
    schema.properties.iter_mut().flat_map(|it| it.values_mut()).for_each(strip);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        strip(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        strip(values);
    }
}

fn column((name, kind, path): (&str, &str, &str)) -> CustomResourceColumnDefinition {
    CustomResourceColumnDefinition {
        name: name.to_owned(),
        type_: kind.to_owned(),
        json_path: path.to_owned(),
        priority: (!ALWAYS.contains(&name)).then_some(1),
        ..CustomResourceColumnDefinition::default()
    }
}
