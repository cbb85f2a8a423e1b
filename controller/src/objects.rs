//! The projection of one Canary: every object that is made for it, from its spec, its [`Desired`] and what was
//! seen.
//!
//! Pure: no client, no clock. All of it is applied each time; whatever was deleted or mangled comes back, and
//! applying it twice changes nothing.

mod adopt;
mod autoscaler;
mod config;
mod destination_rule;
mod facts;
mod ports;
mod revert;
mod revision;
mod scale;
mod services;
mod target;
mod template;
mod virtual_service;
mod workload;

use std::fmt;

use kube::core::DynamicObject;
use serin_rollout::Desired;
use thiserror::Error;

pub use self::config::{Reference, references};
pub use self::facts::{Facts, Observed};
pub use self::revert::{Revert, revert, while_deleted};
pub use self::revision::{revision, target_revision};
pub use self::scale::Scale;
pub use self::workload::primary_revision;

use self::target::Target;
use crate::kind::Kind;

/// Everything that is made for a Canary. Whoever applies it names each field: one that nobody applies does not
/// compile.
#[derive(Clone, Debug, PartialEq)]
pub struct Objects {
    /// Apex, primary, canary.
    pub services: Vec<Wanted>,
    /// Primary's and the canary's.
    pub destination_rules: Vec<Wanted>,
    /// Once primary serves.
    pub virtual_service: Option<Wanted>,
    /// Primary's `ConfigMap`s and Secrets.
    pub configs: Vec<Wanted>,
    /// Primary.
    pub primary: Wanted,
    /// Primary's autoscaler.
    pub autoscaler: Option<Wanted>,
    /// Replicas that must change.
    pub scales: Vec<Scale>,
    /// What a person should know.
    pub gaps: Vec<Gap>,
}

/// An object that is to exist.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// Like this.
    Apply(Box<DynamicObject>),
    /// As it is: what it should hold is known nowhere but in it.
    Keep(ObjectRef),
}

/// An object of the Canary's namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectRef {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

/// One write. Their order is that of [`Objects::effects`].
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Server-side apply, as [`serin_api::keys::FIELD_MANAGER`], by force: these fields are ours.
    Apply(Box<DynamicObject>),
    /// A merge patch of `spec.replicas` of a Deployment.
    Scale(Scale),
}

/// Something that could not be made as it should be. It is told to a person; what can be done is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gap {
    /// Something that the target needs does not exist.
    Missing {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// A copy was deleted while its original had changed already.
    Content {
        /// Its kind.
        kind: Kind,
        /// The copy's name.
        copy: String,
    },
    /// Primary was deleted, and none of the target's `ReplicaSet`s holds its revision.
    Template {
        /// Primary's name.
        name: String,
    },
}

/// Nothing can be made for this target.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProjectionError {
    /// Its pods cannot be told from primary's.
    #[error(
        "deployment {target}.{namespace} spec.selector.matchLabels must contain one of [{}]",
        serin_api::keys::SELECTOR_LABELS.join(" ")
    )]
    SelectorLabel {
        /// The target.
        target: String,
        /// Its namespace.
        namespace: String,
    },
}

/// What should be.
pub fn objects(
    facts: &Facts,
    desired: &Desired,
    seen: &Observed,
) -> Result<Objects, ProjectionError> {
    let target = Target::read(&seen.target)?;
    let (configs, mut gaps) = config::copies(facts, seen, workload::follows(desired, seen));
    let (primary, gap) = workload::primary(facts, desired, seen, &target);
    let (autoscaler, unscaled) = autoscaler::autoscaler(facts, seen);
    gaps.extend(gap.into_iter().chain(unscaled));
    Ok(Objects {
        services: services::services(facts, desired, seen, &target),
        destination_rules: destination_rule::destination_rules(facts),
        virtual_service: virtual_service::virtual_service(facts, desired, seen, &target),
        configs,
        primary,
        autoscaler,
        scales: scale::scales(facts, desired, seen, &target),
        gaps,
    })
}

impl Objects {
    /// The writes, in order: traffic first, then what pods read, then pods.
    pub fn effects(self) -> Vec<Effect> {
        let Self {
            services,
            destination_rules,
            virtual_service,
            configs,
            primary,
            autoscaler,
            scales,
            gaps: _,
        } = self;
        let traffic = services.into_iter().chain(destination_rules).chain(virtual_service);
        let pods = configs.into_iter().chain([primary]).chain(autoscaler);
        let applied = traffic.chain(pods).filter_map(|wanted| match wanted {
            Wanted::Apply(object) => Some(Effect::Apply(object)),
            Wanted::Keep(_) => None,
        });
        applied.chain(scales.into_iter().map(Effect::Scale)).collect()
    }

    /// Everything that is to exist. What else carries the Canary's label and owner may be deleted.
    pub fn wanted(&self) -> impl Iterator<Item = ObjectRef> {
        let Self {
            services,
            destination_rules,
            virtual_service,
            configs,
            primary,
            autoscaler,
            scales: _,
            gaps: _,
        } = self;
        let all = services.iter().chain(destination_rules).chain(virtual_service).chain(configs);
        all.chain([primary]).chain(autoscaler).filter_map(|wanted| match wanted {
            Wanted::Apply(object) => ObjectRef::of(object),
            Wanted::Keep(kept) => Some(kept.clone()),
        })
    }

    /// The objects that are applied.
    pub fn applied(&self) -> impl Iterator<Item = DynamicObject> {
        self.clone().effects().into_iter().filter_map(|effect| match effect {
            Effect::Apply(object) => Some(*object),
            Effect::Scale(_) => None,
        })
    }
}

impl ObjectRef {
    /// Of an object of one of our kinds.
    pub fn of(object: &DynamicObject) -> Option<Self> {
        Some(Self { kind: Kind::of(object)?, name: object.metadata.name.clone()? })
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.name)
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { kind, name } => {
                write!(f, "{} {name} does not exist, and the target needs it", kind.name())
            }
            Self::Content { kind, copy } => write!(
                f,
                "{} {copy} was deleted and its original has changed: primary gets what that says now",
                kind.name()
            ),
            Self::Template { name } => write!(
                f,
                "Deployment {name} was deleted and no ReplicaSet of the target holds its revision: \
                 promote or roll back by hand, or raise the target's revisionHistoryLimit"
            ),
        }
    }
}
