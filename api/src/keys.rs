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

/// Name suffix of what serves by default.
pub const PRIMARY_SUFFIX: &str = "-primary";
/// Name suffix of what is under trial.
pub const CANARY_SUFFIX: &str = "-canary";

/// The built-in check of the share of requests that did not fail.
pub const SUCCESS_RATE: &str = "request-success-rate";
/// The built-in check of the 99th percentile of latency.
pub const DURATION: &str = "request-duration";
