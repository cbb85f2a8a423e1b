//! What is not carried out: nothing is ignored in silence.

use crate::canary::{Analysis, Service};
use crate::field::Field;
use crate::{Canary, Group, Problems};

const NOT_YET: &str = "is valid but not supported yet";
const NOT_ISTIO: &str = "has no meaning on Istio";

/// Reports what the controller does not do yet; of our own objects also what has no meaning on Istio.
pub(super) fn check(canary: &Canary, problems: &mut Problems) {
    let (spec, analysis) = (Field::root("spec"), Field::root("spec.analysis"));
    for (name, _) in not_yet(&canary.spec.analysis).iter().filter(|(_, used)| *used) {
        problems.add(analysis.at(name), NOT_YET);
    }
    if canary.group == Group::Flagger {
        return;
    }
    if canary.spec.upstream_ref.is_some() {
        problems.add(spec.at("upstreamRef"), NOT_ISTIO);
    }
    if canary.spec.analysis.mirror_weight.is_some() && !canary.spec.analysis.mirror {
        problems.add(analysis.at("mirrorWeight"), "has no meaning without mirror");
    }
    let Some(service) = &canary.spec.service else { return };
    let field = spec.at("service");
    for (name, _) in not_istio(service).iter().filter(|(_, used)| *used) {
        problems.add(field.at(name), NOT_ISTIO);
    }
    if service.rewrite.as_ref().is_some_and(|rewrite| rewrite.0.contains_key("type")) {
        problems.add(field.at("rewrite").at("type"), NOT_ISTIO);
    }
}

/// Fields of `spec.analysis` that wait for their turn. A line goes when its field is carried out.
fn not_yet(analysis: &Analysis) -> [(&'static str, bool); 2] {
    // All at once is what is done.
    let promotion = analysis.step_weight_promotion.is_some_and(|step| step > 0 && step < 100);
    [("stepWeightPromotion", promotion), ("alerts", !analysis.alerts.is_empty())]
}

/// Fields of `spec.service` that are for the Gateway API or for App Mesh.
fn not_istio(service: &Service) -> [(&'static str, bool); 5] {
    [
        ("backendTimeout", service.backend_timeout.is_some()),
        ("gatewayRefs", !service.gateway_refs.is_empty()),
        ("mirror", !service.mirror.is_empty()),
        ("meshName", service.mesh_name.is_some()),
        ("backends", !service.backends.is_empty()),
    ]
}
