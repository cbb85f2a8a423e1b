//! What a Canary means on a cluster: its plan, and the facts about workloads, traffic, queries and alerts that whoever
//! carries it out needs, all of them judged.
//!
//! A field that is valid but not carried out yet is a problem, by name. Of a `flagger.app` object, what Flagger ignores
//! on Istio is ignored; of ours it is a problem.

mod alerts;
mod autoscaler;
mod refused;
mod service;
mod target;

use std::collections::BTreeMap;

use serin_rollout::Plan;

pub use self::alerts::{Alert, Secret};
pub use self::target::Target;

use crate::canary::{AutoscalerRef, Service, Unscoped};
use crate::convert::Source;
use crate::field::Field;
use crate::{AlertProvider, Canary, Group, MetricTemplate, Problems, convert};

/// What a Canary may refer to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given<'a> {
    /// Templates of its metrics.
    pub templates: &'a [MetricTemplate],
    /// Where its alerts go.
    pub alert_providers: &'a [AlertProvider],
    /// The Prometheus that answers the inline queries of a Canary without `metricsServer`.
    pub metrics_server: Option<&'a str>,
}

/// What a Canary means on a cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Release {
    /// What every step goes by.
    pub plan: Plan,
    /// The workload.
    pub target: Target,
    /// Its autoscaler.
    pub autoscaler: Option<AutoscalerRef>,
    /// How it is reached.
    pub service: Service,
    /// Further namespaces whose proxies take part; the Canary's own always does.
    pub caller_namespaces: Vec<String>,
    /// What callers meet whose proxies do not take part.
    pub unscoped: Unscoped,
    /// How the provider of each of the plan's checks is asked; none for what the filter's counts answer.
    pub access: Vec<Option<Access>>,
    /// Who is told.
    pub alerts: Vec<Alert>,
    /// Leave everything as it is.
    pub suspended: bool,
    /// Give the target its pods back when the Canary is deleted.
    pub revert_on_deletion: bool,
}

/// How a provider is asked, beside its address and the query, which the check holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Sent along.
    pub headers: BTreeMap<String, Vec<String>>,
    /// Holds `token`, or `username` and `password`.
    pub secret: Option<Secret>,
    /// Accept any certificate.
    pub insecure: bool,
}

/// What a Canary means on a cluster, or everything that is wrong with it there.
pub fn release(canary: &Canary, given: &Given<'_>) -> Result<Release, Problems> {
    let mut problems = Problems::default();
    let it = &mut problems;
    let canary = &with_metrics_server(canary, given.metrics_server);
    let spec = &canary.spec;
    let (plan, sources) = convert::meaning(canary, given.templates, it);
    refused::check(canary, it);
    let release = Release {
        plan,
        target: target::target(canary, it),
        autoscaler: autoscaler::autoscaler(canary, it),
        service: service::service(canary, it),
        caller_namespaces: caller_namespaces(canary, it),
        unscoped: unscoped(canary),
        access: sources.into_iter().map(access).collect(),
        alerts: alerts::alerts(canary, given.alert_providers, it),
        suspended: spec.suspend,
        revert_on_deletion: spec.revert_on_deletion,
    };
    problems.or(release)
}

fn with_metrics_server(canary: &Canary, server: Option<&str>) -> Canary {
    let mut canary = canary.clone();
    let given = &mut canary.spec.metrics_server;
    *given = given.take().or_else(|| server.map(str::to_owned));
    canary
}

fn access(source: Source<'_>) -> Option<Access> {
    let template = match source {
        Source::Counts => return None,
        Source::Inline => return Some(Access::default()),
        Source::Template(template) => template,
    };
    let provider = &template.spec.provider;
    let secret = provider.secret_ref.as_ref().map(|secret| Secret {
        namespace: template.namespace().to_owned(),
        name: secret.name.clone(),
    });
    let insecure = provider.insecure_skip_verify;
    Some(Access { headers: provider.headers.clone(), secret, insecure })
}

fn caller_namespaces(canary: &Canary, problems: &mut Problems) -> Vec<String> {
    let field = Field::root("spec.callers.namespaces");
    let mut namespaces: Vec<String> = Vec::new();
    for (index, given) in canary.spec.callers.iter().flat_map(|it| &it.namespaces).enumerate() {
        convert::label(given, &field.nth(index), problems);
        // Its own takes part anyway.
        if given != canary.namespace() && !namespaces.contains(given) {
            namespaces.push(given.clone());
        }
    }
    namespaces
}

/// Flagger's users expect their weights to hold for every caller.
fn unscoped(canary: &Canary) -> Unscoped {
    let default = match canary.group {
        Group::Flagger => Unscoped::Weights,
        Group::Serin => Unscoped::Primary,
    };
    canary.spec.callers.as_ref().and_then(|it| it.unscoped).unwrap_or(default)
}
