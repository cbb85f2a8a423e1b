//! How the workload is reached: what is wrong with it. The objects that follow from it are the controller's to make.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::canary::Service;
use crate::convert::{label, positive_duration, whole};
use crate::field::Field;
use crate::{Canary, Problems, keys};

/// Bytes of a Service's name.
const NAME_BYTES_MAX: usize = 63;
/// Bytes of a container port's name.
const TARGET_PORT_BYTES_MAX: usize = 15;
/// What Kubernetes knows.
const DISTRIBUTIONS: [&str; 3] = ["PreferClose", "PreferSameZone", "PreferSameNode"];

/// `spec.service`, which a cluster cannot do without. Its port is the plan's to judge.
pub(super) fn service(canary: &Canary, problems: &mut Problems) -> Service {
    let field = Field::root("spec.service");
    let Some(given) = &canary.spec.service else {
        problems.add(field, "is missing: it says on which port the workload is reached");
        return Service::default();
    };
    name(canary, given, problems);
    ports(given, &field, problems);
    // Whether it is one; Istio takes it as it is written.
    let _ = positive_duration(given.timeout.as_deref(), &field.at("timeout"), problems);
    if given.delegation {
        delegate(given, &field, problems);
    } else {
        hosts(given, &field.at("hosts"), problems);
        everywhere(given, &field.at("hosts"), problems);
        gateways(given, &field.at("gateways"), problems);
    }
    given.clone()
}

/// The name must be one of Services, with the longer suffix behind it.
fn name(canary: &Canary, given: &Service, problems: &mut Problems) {
    let named = given.name.is_some();
    let path = if named { "spec.service.name" } else { "spec.targetRef.name" };
    if problems.iter().any(|known| known.path == path) {
        return;
    }
    let (apex, suffix) = (canary.apex(), keys::PRIMARY_SUFFIX);
    let most = NAME_BYTES_MAX - suffix.len();
    if apex.len() > most {
        let rule = format!("must have at most {most} characters, for a Service is named NAME");
        problems.add(path, format!("{rule}{suffix}; it has {}", apex.len()));
    } else if apex.contains('.') || apex.starts_with(|c: char| c.is_ascii_digit()) {
        let rule = "names a Service, so it must hold no dot and begin with a letter";
        problems.add(path, format!("{rule}, not {apex:?}"));
    }
}

fn ports(given: &Service, field: &Field, problems: &mut Problems) {
    if let Some(name) = &given.port_name {
        label(name, &field.at("portName"), problems);
    }
    let target = field.at("targetPort");
    match &given.target_port {
        Some(IntOrString::Int(port)) => {
            let _: Option<u16> = whole((*port).into(), 1..=65_535, &target, problems);
        }
        Some(IntOrString::String(name)) if name.len() > TARGET_PORT_BYTES_MAX => {
            let rule = format!("must have at most {TARGET_PORT_BYTES_MAX} characters");
            problems.add(target, format!("{rule}, not {name:?}"));
        }
        Some(IntOrString::String(name)) => label(name, &target, problems),
        None => {}
    }
    let distribution = given.traffic_distribution.as_deref();
    if let Some(other) = distribution.filter(|it| !DISTRIBUTIONS.contains(it)) {
        let rule = format!("must be one of {}, not {other:?}", DISTRIBUTIONS.join(", "));
        problems.add(field.at("trafficDistribution"), rule);
    }
}

fn delegate(given: &Service, field: &Field, problems: &mut Problems) {
    for (name, used) in
        [("hosts", !given.hosts.is_empty()), ("gateways", !given.gateways.is_empty())]
    {
        if used {
            problems.add(field.at(name), "has no meaning for a delegate: its root has them");
        }
    }
}

fn hosts(given: &Service, field: &Field, problems: &mut Problems) {
    let part = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    for (index, host) in given.hosts.iter().enumerate() {
        let name = host.strip_prefix("*.").unwrap_or(host);
        if host != "*" && !name.split('.').all(part) {
            let rule = "must be a host's name, *, or * before a dot and a name";
            problems.add(field.nth(index), format!("{rule}, not {host:?}"));
        }
    }
}

/// Istio refuses it: it would take all traffic of all sidecars.
fn everywhere(given: &Service, field: &Field, problems: &mut Problems) {
    let mesh = given.gateways.is_empty() || given.gateways.iter().any(|it| it == "mesh");
    let all = given.hosts.iter().position(|host| host == "*");
    if let (Some(index), true) = (all, mesh) {
        let rule = "must not be * for the gateway mesh: name hosts, or gateways other than mesh";
        problems.add(field.nth(index), rule);
    }
}

fn gateways(given: &Service, field: &Field, problems: &mut Problems) {
    for (index, text) in given.gateways.iter().enumerate() {
        let parts: Vec<&str> = text.split('/').collect();
        if parts.len() > 2 || parts.iter().any(|part| part.is_empty()) {
            let rule = "must be mesh, NAME or NAMESPACE/NAME";
            problems.add(field.nth(index), format!("{rule}, not {text:?}"));
        }
    }
}
