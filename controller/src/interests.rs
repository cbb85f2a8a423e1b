//! Which Canaries an event concerns, and how often each has been concerned.
//!
//! A Canary names what it depends on before it reads it, so that no change falls between the two. Interests are only
//! added to while it lives: one too many costs a look, one too few would cost a release.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use kube::core::ObjectMeta;
use kube::runtime::reflector;
use serin_api::{Canary, Group};

use crate::guarded::Guarded;
use crate::objects::ObjectRef;

/// Interests of all Canaries.
#[derive(Debug, Default)]
pub(crate) struct Interests(Mutex<BTreeMap<Key, Interest>>);

/// Of one Canary.
#[derive(Debug, Default)]
struct Interest {
    subjects: BTreeSet<Subject>,
    /// Whatever comes to delegate to this name of its namespace concerns it, too.
    delegate: Option<String>,
    /// Events that have concerned it.
    events: u64,
}

/// An object in the cluster, of a kind that is watched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Subject {
    pub(crate) kind: &'static str,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// The delegates that a `VirtualService` leads to: namespace and name.
pub(crate) type Delegates = BTreeSet<(String, String)>;

/// Which Canary.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) group: Group,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn of(canary: &Canary) -> Self {
        Self {
            group: canary.group,
            namespace: canary.namespace().to_owned(),
            name: canary.name().to_owned(),
        }
    }

    /// As the runtime names it.
    pub(crate) fn woken(&self) -> reflector::ObjectRef<Guarded> {
        reflector::ObjectRef::new_with(&self.name, self.group).within(&self.namespace)
    }
}

impl Subject {
    /// An object that an event is about.
    pub(crate) fn of(kind: &'static str, object: &ObjectMeta) -> Option<Self> {
        let (namespace, name) = (object.namespace.clone()?, object.name.clone()?);
        Some(Self { kind, namespace, name })
    }
}

impl Interests {
    /// From now on the Canary is woken by changes of these objects of its namespace.
    pub(crate) fn add(&self, canary: &Canary, objects: impl IntoIterator<Item = ObjectRef>) {
        let within = |it: ObjectRef| Subject {
            kind: it.kind.name(),
            namespace: canary.namespace().to_owned(),
            name: it.name,
        };
        self.of(canary, |interest| interest.subjects.extend(objects.into_iter().map(within)));
    }

    /// From now on the Canary is woken by changes of this object, wherever it is.
    /// Whether it was none of its interests before.
    pub(crate) fn add_subject(&self, canary: &Canary, subject: Subject) -> bool {
        self.of(canary, |interest| interest.subjects.insert(subject))
    }

    /// From now on the Canary is woken by whatever delegates to this name.
    pub(crate) fn add_delegate(&self, canary: &Canary, apex: &str) {
        self.of(canary, |interest| interest.delegate = Some(apex.to_owned()));
    }

    /// How many events have concerned the Canary. What was read when there were as many as now is still so: an event
    /// that follows from a later change has not come yet, or there would be more.
    pub(crate) fn events(&self, canary: &Canary) -> u64 {
        self.of(canary, |interest| interest.events)
    }

    /// The Canary is gone.
    pub(crate) fn forget(&self, canary: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(canary);
    }

    /// The Canaries of a group that an object's change concerns.
    pub(crate) fn concerned(
        &self,
        group: Group,
        changed: &Subject,
        delegates: &Delegates,
    ) -> Vec<reflector::ObjectRef<Guarded>> {
        self.wake(group, |key, interest| {
            let delegate = interest.delegate.iter();
            let mut delegate = delegate.map(|apex| (key.namespace.clone(), apex.clone()));
            interest.subjects.contains(changed) || delegate.any(|it| delegates.contains(&it))
        })
    }

    /// The Canaries of a group that depend on any object of a kind. They are concerned when its watch has begun anew,
    /// for objects that went meanwhile are not told.
    pub(crate) fn concerned_by_kind(
        &self,
        group: Group,
        kind: &'static str,
    ) -> Vec<reflector::ObjectRef<Guarded>> {
        self.wake(group, |_, interest| interest.subjects.iter().any(|it| it.kind == kind))
    }

    fn of<T>(&self, canary: &Canary, act: impl FnOnce(&mut Interest) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(all.entry(Key::of(canary)).or_default())
    }

    fn wake(
        &self,
        group: Group,
        concerns: impl Fn(&Key, &Interest) -> bool,
    ) -> Vec<reflector::ObjectRef<Guarded>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let theirs = all.iter_mut().filter(|(key, it)| key.group == group && concerns(key, it));
        let woken = theirs.map(|(key, interest)| {
            interest.events = interest.events.wrapping_add(1);
            key.woken()
        });
        woken.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kind;
    use serin_api::CanarySpec;

    fn subject(kind: Kind, namespace: &str, name: &str) -> Subject {
        Subject { kind: kind.name(), namespace: namespace.into(), name: name.into() }
    }

    fn concerned(interests: &Interests, namespace: &str, name: &str) -> usize {
        let subject = subject(Kind::ConfigMap, namespace, name);
        interests.concerned(Group::Serin, &subject, &Delegates::new()).len()
    }

    fn of(name: &str) -> Canary {
        Canary::new(name, "prod", CanarySpec::default())
    }

    #[test]
    fn an_event_wakes_whose_interest_it_is_and_nobody_else() {
        let interests = Interests::default();
        let config = |name: &str| [ObjectRef { kind: Kind::ConfigMap, name: name.into() }];
        interests.add(&of("shop"), config("shared"));
        interests.add(&of("cart"), config("shared"));
        interests.add(&of("cart"), config("cart"));
        assert_eq!(concerned(&interests, "prod", "shared"), 2);
        assert_eq!(concerned(&interests, "prod", "cart"), 1);
        assert_eq!((interests.events(&of("shop")), interests.events(&of("cart"))), (1, 2));
        assert_eq!(concerned(&interests, "test", "shared"), 0);
        assert_eq!(concerned(&interests, "prod", "other"), 0);
        let none = Delegates::new();
        let secret = subject(Kind::Secret, "prod", "cart");
        assert!(interests.concerned(Group::Serin, &secret, &none).is_empty());
        let config = subject(Kind::ConfigMap, "prod", "cart");
        assert!(interests.concerned(Group::Flagger, &config, &none).is_empty());
        interests.forget(&Key::of(&of("cart")));
        assert_eq!(concerned(&interests, "prod", "shared"), 1);
    }

    #[test]
    fn a_watch_that_begins_anew_concerns_all_that_depend_on_its_kind() {
        let interests = Interests::default();
        interests.add(&of("shop"), [ObjectRef { kind: Kind::Secret, name: "key".into() }]);
        assert_eq!(interests.concerned_by_kind(Group::Serin, Kind::Secret.name()).len(), 1);
        assert!(interests.concerned_by_kind(Group::Serin, Kind::Service.name()).is_empty());
        assert_eq!(interests.events(&of("shop")), 1);
    }

    #[test]
    fn a_root_in_another_namespace_wakes_its_delegate_when_it_comes_and_when_it_leaves() {
        let interests = Interests::default();
        interests.add_delegate(&of("release"), "store");
        let root = subject(Kind::VirtualService, "edge", "root");
        let to = |name: &str| Delegates::from([("prod".to_owned(), name.to_owned())]);
        let woken =
            |delegates: &Delegates| interests.concerned(Group::Serin, &root, delegates).len();
        assert_eq!((woken(&to("store")), woken(&to("other"))), (1, 0));
        // Once it has been read, its change is an event even when it leads here no longer.
        interests.add_subject(&of("release"), root.clone());
        assert_eq!(woken(&to("other")), 1);
    }
}
