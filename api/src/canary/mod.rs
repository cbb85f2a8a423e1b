//! `Canary`: what a person writes about a release. Flagger's spec, and our additions, all of them optional.

mod affinity;
mod analysis;
mod callers;
mod evidence;
mod group;
mod matching;
mod metric;
mod object;
mod service;
mod spec;
mod status;
mod webhook;

pub use affinity::{RequestId, SameSite, SessionAffinity, UserKey};
pub use analysis::{Analysis, AnalysisStep, Pause};
pub use callers::{Callers, Unscoped};
pub use evidence::{
    Evidence, Gate, LatencyObjective, Mode, Objectives, OnInconclusive, Quarantine,
};
pub use group::Group;
pub use matching::{MatchRule, NamedRoute, RouteMatch, TextMatch};
pub use metric::{Metric, TemplateRef, ThresholdRange};
pub use object::Canary;
pub use service::{Metadata, Service, UnmanagedMetadata, Verbatim};
pub use spec::{AutoscalerRef, CanarySpec, ScalerReplicas, TargetRef, UpstreamRef};
pub use status::{CanaryPhase, CanaryStatus, Condition, SerinStatus, StatusProblem, StatusScope};
pub use webhook::{Alert, AlertProviderRef, AlertSeverity, Webhook, WebhookKind};

pub(crate) use spec::Definition;

/// Whether a flag is left out when written.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
pub(crate) fn is_false(flag: &bool) -> bool {
    !flag
}
