//! What names and targets must be, whatever is done with them.

use super::numbers::whole;
use crate::field::Field;
use crate::{Canary, Problems};

/// Bytes of a name; Kubernetes' limit.
const NAME_BYTES_MAX: usize = 253;
/// Bytes of one label of a name.
const LABEL_BYTES_MAX: usize = 63;

/// Reports names that no object can have, and targets that are not served.
pub(super) fn check(canary: &Canary, problems: &mut Problems) {
    let (metadata, spec) = (Field::root("metadata"), Field::root("spec"));
    name(canary.name(), &metadata.at("name"), problems);
    label(canary.namespace(), &metadata.at("namespace"), problems);
    name(&canary.spec.target_ref.name, &spec.at("targetRef").at("name"), problems);
    let service = canary.spec.service.as_ref();
    if let Some(apex) = service.and_then(|service| service.name.as_deref()) {
        label(apex, &spec.at("service").at("name"), problems);
    }
    if let Some(service) = service {
        let field = spec.at("service").at("port");
        let _: Option<u16> = whole(service.port.into(), 1..=65_535, &field, problems);
    }
    if canary.spec.provider.as_deref().is_some_and(|provider| provider != "istio") {
        let provider = canary.spec.provider.as_deref().unwrap_or_default();
        problems.add(spec.at("provider"), format!("must be istio, not {provider:?}"));
    }
    let protocol = service.and_then(|service| service.app_protocol.as_deref());
    if protocol.is_some_and(|protocol| protocol.eq_ignore_ascii_case("tcp")) {
        problems.add(spec.at("service").at("appProtocol"), "tcp is valid but not supported yet");
    }
    if canary.spec.analysis.mirror {
        problems.add(spec.at("analysis").at("mirror"), "is valid but not supported yet");
    }
}

/// RFC 1123 subdomain.
fn name(name: &str, field: &Field, problems: &mut Problems) {
    if name.is_empty() {
        problems.add(field, "is missing");
    } else if name.len() > NAME_BYTES_MAX || !name.split('.').all(is_label) {
        let rule = "must consist of lower-case letters, digits, - and ., and begin and end with a \
                    letter or digit";
        problems.add(field, format!("{rule}, not {name:?}"));
    }
}

/// RFC 1123 label.
pub(crate) fn label(name: &str, field: &Field, problems: &mut Problems) {
    if name.len() > LABEL_BYTES_MAX || !is_label(name) {
        let rule = "must consist of at most 63 lower-case letters, digits and -, and begin and \
                    end with a letter or digit";
        problems.add(field, format!("{rule}, not {name:?}"));
    }
}

fn is_label(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.starts_with(letter)
        && name.ends_with(letter)
        && name.chars().all(|c| letter(c) || c == '-')
}
