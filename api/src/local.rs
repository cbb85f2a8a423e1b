//! What `serin local` does not honour. Nothing is ignored in silence there: what would have no effect is a problem.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::convert::{find_template, template_field};
use crate::field::Field;
use crate::{Canary, Group, MetricTemplate, Problems};

const CLUSTER: &str = "has no meaning without a cluster";
const WORKLOADS: &str = "has no meaning without workloads: the addresses are given";
const PROMOTION: &str = "has no meaning without a cluster: promotion ends the run";

/// Fields of `spec` that need more than two addresses, and why.
const SPEC: [(&str, &str); 9] = [
    ("provider", CLUSTER),
    ("autoscalerRef", WORKLOADS),
    ("ingressRef", CLUSTER),
    ("routeRef", CLUSTER),
    ("upstreamRef", CLUSTER),
    ("progressDeadlineSeconds", WORKLOADS),
    ("revertOnDeletion", CLUSTER),
    ("callers", CLUSTER),
    ("suspend", "has no meaning here: there is one run, and it was just started"),
];

/// Fields of `spec.analysis` likewise.
const ANALYSIS: [(&str, &str); 6] = [
    ("mirror", "is not supported by serin local"),
    ("mirrorWeight", "is not supported by serin local"),
    ("stepWeightPromotion", PROMOTION),
    ("primaryReadyThreshold", WORKLOADS),
    ("canaryReadyThreshold", WORKLOADS),
    ("alerts", "is not supported by serin local: a webhook of type event tells as much"),
];

/// Fields of `spec.service` that are honoured: they say whether requests are gRPC. The port has to be there.
const SERVICE_HONOURED: [&str; 3] = ["port", "portName", "appProtocol"];

/// The fields of a Canary that mean nothing without a cluster, each as a problem. Analysis, match, affinity, metrics
/// and webhooks are honoured; `targetRef` names the app.
pub fn local_problems(canary: &Canary, templates: &[MetricTemplate]) -> Problems {
    let mut problems = Problems::default();
    if canary.group != Group::Serin {
        let (ours, given) = (Group::Serin.api_version(), canary.group.api_version());
        let rule = format!("must be {ours}: {given} is for clusters");
        problems.add("apiVersion", rule);
    }
    let (spec, analysis) = (Field::root("spec"), Field::root("spec.analysis"));
    refuse(&canary.spec, &SPEC, &spec, &mut problems);
    refuse(&canary.spec.analysis, &ANALYSIS, &analysis, &mut problems);
    if let Some(service) = &canary.spec.service {
        for name in written(service).keys().filter(|it| !SERVICE_HONOURED.contains(&it.as_str())) {
            problems.add(spec.at("service").at(name), CLUSTER);
        }
    }
    for (index, rule) in canary.spec.analysis.matching.iter().enumerate() {
        if !rule.source_labels.is_empty() {
            let field = analysis.at("match").nth(index).at("sourceLabels");
            problems.add(field, "has no meaning without pods: callers have no labels");
        }
    }
    credentials(canary, templates, &mut problems);
    problems
}

/// Queries are asked without any.
fn credentials(canary: &Canary, templates: &[MetricTemplate], problems: &mut Problems) {
    let references = canary.spec.analysis.metrics.iter().filter_map(|it| it.template_ref.as_ref());
    let found = references.filter_map(|it| find_template(canary, it, templates));
    for template in found {
        let provider = &template.spec.provider;
        let field = template_field(template.name()).at("spec").at("provider");
        let unsupported = [
            ("headers", !provider.headers.is_empty()),
            ("secretRef", provider.secret_ref.is_some()),
            ("insecureSkipVerify", provider.insecure_skip_verify),
        ];
        for (name, _) in unsupported.iter().filter(|(_, used)| *used) {
            problems.add(field.at(name), "is not supported by serin local");
        }
    }
}

fn refuse(
    given: &impl Serialize,
    refused: &[(&str, &str)],
    field: &Field,
    problems: &mut Problems,
) {
    let written = written(given);
    for (name, why) in refused.iter().filter(|(name, _)| written.contains_key(*name)) {
        problems.add(field.at(name), *why);
    }
}

/// The fields that differ from their defaults: those that are written.
fn written(given: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(given) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}
