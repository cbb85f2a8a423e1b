//! Every name that Kubernetes or a person sees of us, once.

/// Our API group.
pub const GROUP: &str = "serin.dev";
/// Flagger's API group.
pub const FLAGGER_GROUP: &str = "flagger.app";
/// The version of both groups.
pub const VERSION: &str = "v1beta1";

/// The kind of a canary release.
pub const CANARY: &str = "Canary";
/// Its plural.
pub const CANARIES: &str = "canaries";
/// The kind of a query that several canaries share.
pub const METRIC_TEMPLATE: &str = "MetricTemplate";
/// Its plural.
pub const METRIC_TEMPLATES: &str = "metrictemplates";
/// The kind of a place that alerts go to.
pub const ALERT_PROVIDER: &str = "AlertProvider";
/// Its plural.
pub const ALERT_PROVIDERS: &str = "alertproviders";

/// The namespace of an object that names none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// Marks everything that we write; the field manager of server-side apply.
pub const FIELD_MANAGER: &str = "serin";
/// Put on a Canary whose target must get its pods back when it is deleted.
pub const FINALIZER: &str = "serin.dev/finalizer";
/// Flagger's finalizer, found on objects that it served before.
pub const FLAGGER_FINALIZER: &str = "finalizer.flagger.app";
/// Annotation of a Canary: what a person wants (`pause`, `resume`, `abort`, `promote`, `retry`).
pub const INTENT: &str = "serin.dev/intent";
/// Annotation of a `ConfigMap` or Secret: `disabled` keeps its changes from starting a release.
pub const CONFIG_TRACKING: &str = "serin.dev/config-tracking";
/// As [`CONFIG_TRACKING`], Flagger's.
pub const FLAGGER_CONFIG_TRACKING: &str = "flagger.app/config-tracking";
/// Label of everything made for a Canary: its name.
pub const OWNER: &str = "serin.dev/canary";
/// Label of everything that we make; its value is [`FIELD_MANAGER`].
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Label of a `WasmPlugin`: the scope that it steers, `namespace`, `gateway` or `mesh`.
pub const SCOPE: &str = "serin.dev/scope";
/// Annotation of primary's pods: the revision that they run. It changes with a tracked `ConfigMap`, too, so that pods
/// are replaced that have read the old one.
pub const REVISION: &str = "serin.dev/revision";
/// Annotation of a primary that was taken over: the revision that its pods run although they do not say so. To say so
/// would replace them.
pub const TAKEN_OVER_REVISION: &str = "serin.dev/taken-over-revision";
/// Annotation of an object that was there before us: what of it we changed, as it was.
pub const ORIGINAL: &str = "serin.dev/original";
/// As [`ORIGINAL`], Flagger's; of a `VirtualService`.
pub const FLAGGER_ORIGINAL: &str = "flagger.kubernetes.io/original-configuration";
/// Annotation that Flagger puts on primary's pods, to replace them at each promotion.
pub const FLAGGER_ID: &str = "flagger-id";
/// Annotation in which `kubectl apply` keeps what it was given.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Annotations that keep Flux off what we make.
pub const FLUX_OFF: [(&str, &str); 2] = [
    ("kustomize.toolkit.fluxcd.io/reconcile", "disabled"),
    ("helm.toolkit.fluxcd.io/driftDetection", "disabled"),
];
/// Labels and annotations with this in their key are Flux's: on a copy they would make it Flux's to prune.
pub const FLUX: &str = "toolkit.fluxcd.io";
/// Annotations that begin so say whose an object is to other tools that deploy.
pub const DEPLOYERS: [&str; 2] = ["argocd.argoproj.io/", "meta.helm.sh/"];

/// The Lease whose holder leads.
pub const LEASE: &str = "serin";
/// Label of the pod that leads: `true`. Reports are sent to the pod that has it.
pub const LEADER: &str = "serin.dev/leader";

/// The name of every `WasmPlugin` begins so; also its `pluginName`.
pub const PLUGIN: &str = "serin";
/// Labels by which a workload's pods may be told apart, as Flagger looks for them.
pub const SELECTOR_LABELS: [&str; 3] = ["app", "name", "app.kubernetes.io/name"];

/// Name suffix of what serves by default.
pub const PRIMARY_SUFFIX: &str = "-primary";
/// Name suffix of what is under trial.
pub const CANARY_SUFFIX: &str = "-canary";

/// The built-in check of the share of requests that did not fail.
pub const SUCCESS_RATE: &str = "request-success-rate";
/// The built-in check of the 99th percentile of latency.
pub const DURATION: &str = "request-duration";
