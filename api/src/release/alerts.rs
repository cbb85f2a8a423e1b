//! Who is told, and by whom.

use serin_rollout::Severity;

use crate::canary::{self, AlertSeverity};
use crate::field::Field;
use crate::{AlertProvider, AlertProviderSpec, Canary, Problems};

/// Someone who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Its name.
    pub name: String,
    /// The least that is told.
    pub severity: Severity,
    /// What the provider speaks, and where it is.
    pub provider: AlertProviderSpec,
    /// Holds `address`, and `token` where one is needed; instead of the provider's address.
    pub secret: Option<Secret>,
}

/// A Secret by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Secret {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// All alerts, in order.
pub(super) fn alerts(
    canary: &Canary,
    providers: &[AlertProvider],
    problems: &mut Problems,
) -> Vec<Alert> {
    let field = Field::root("spec.analysis.alerts");
    let alerts = canary.spec.analysis.alerts.iter().enumerate();
    let resolved = |(index, given)| alert(canary, given, providers, &field.nth(index), problems);
    alerts.filter_map(resolved).collect()
}

fn alert(
    canary: &Canary,
    given: &canary::Alert,
    providers: &[AlertProvider],
    field: &Field,
    problems: &mut Problems,
) -> Option<Alert> {
    let name = &given.provider_ref.name;
    let namespace = given.provider_ref.namespace.as_deref().unwrap_or(canary.namespace());
    let same = |it: &&AlertProvider| it.name() == name && it.namespace() == namespace;
    // Of its own group, where both have one.
    let found = providers.iter().filter(same).max_by_key(|it| it.group == canary.group);
    let Some(found) = found else {
        let rule = format!("there is no AlertProvider {name} in namespace {namespace}");
        problems.add(field.at("providerRef"), rule);
        return None;
    };
    let spec = &found.spec;
    if spec.address.is_some() == spec.secret_ref.is_some() {
        let path = format!("AlertProvider {name}: spec");
        problems.add(path, "needs one of address and secretRef");
    }
    Some(Alert {
        name: given.name.clone(),
        severity: severity(given.severity.unwrap_or_default()),
        provider: spec.clone(),
        secret: spec
            .secret_ref
            .as_ref()
            .map(|secret| Secret { namespace: namespace.to_owned(), name: secret.name.clone() }),
    })
}

fn severity(given: AlertSeverity) -> Severity {
    match given {
        AlertSeverity::Unset | AlertSeverity::Info => Severity::Info,
        AlertSeverity::Warn => Severity::Warn,
        AlertSeverity::Error => Severity::Error,
    }
}
