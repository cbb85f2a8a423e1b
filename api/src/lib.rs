//! The Kubernetes types and what they mean.
//!
//! [`Canary`] is what a person writes, [`plan`] is what it means, [`fn@release`] what it means on a cluster. Both
//! groups, `serin.dev` and `flagger.app`, are the same Rust types: the group is data. [`read`] takes a file's text and
//! [`local_problems`] says what `serin local` does not honour. All of them report every problem at once, each with the
//! path of its field. [`CanaryStatus`] tells where a release stands; [`crds`] defines it all for Kubernetes.
//!
//! Nothing here performs I/O.
//!
//! ```
//! let text = "
//! apiVersion: serin.dev/v1beta1
//! kind: Canary
//! metadata: {name: shop}
//! spec:
//!   targetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
//!   analysis: {interval: 30s, stepWeights: [5, 25, 20]}
//! ";
//! let problems = serin_api::read(text)?.plan().unwrap_err();
//! let said = "line 7, column 50: spec.analysis.stepWeights[2]: must rise: 20 follows 25";
//! assert_eq!(problems.to_string(), said);
//! # Ok::<(), serin_api::Problems>(())
//! ```

mod alert;
pub mod canary;
mod convert;
mod crd;
mod duration;
mod field;
mod grouped;
pub mod keys;
mod local;
mod problem;
mod read;
mod record;
pub mod release;
mod rules;
mod template;

pub use alert::{AlertProvider, AlertProviderKind, AlertProviderSpec};
pub use canary::{Canary, CanarySpec, CanaryStatus, Group};
pub use convert::plan;
pub use crd::{alert_provider_crd, canary_crd, crds, metric_template_crd};
pub use duration::{DurationError, parse_duration, show_duration};
pub use local::local_problems;
pub use problem::{Place, Problem, Problems};
pub use read::{Objects, read, read_and};
pub use release::{Given, Release, release};
pub use template::{MetricTemplate, MetricTemplateSpec, Provider, ProviderKind, SecretRef};
