//! Which Canaries an event concerns, and how often each has been concerned.
//!
//! A Canary names what it depends on before it reads it, so that no change falls between the two. Interests are only
//! added to while it lives: one too many costs a look, one too few would cost a release.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kube::core::ObjectMeta;
use kube::runtime::reflector;
use serin_api::{Canary, Group};

use crate::guarded::Guarded;
use crate::objects::ObjectRef;

/// Interests of all Canaries.
#[derive(Debug, Default)]
pub(crate) struct Interests(Mutex<State>);

/// An event is held against the Canaries of its object's namespace and those of `beyond`, and not against thousands
/// elsewhere.
#[derive(Debug, Default)]
struct State {
    all: BTreeMap<Key, Interest>,
    /// Who is interested in an object of another namespace.
    beyond: BTreeMap<Subject, BTreeSet<Key>>,
}

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
        let (key, mut state) = (Key::of(canary), self.state());
        if subject.namespace != key.namespace {
            state.beyond.entry(subject.clone()).or_default().insert(key.clone());
        }
        state.all.entry(key).or_default().subjects.insert(subject)
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
        let mut state = self.state();
        let subjects = state.all.remove(canary).unwrap_or_default().subjects;
        for subject in subjects.iter().filter(|it| it.namespace != canary.namespace) {
            let Some(theirs) = state.beyond.get_mut(subject) else { continue };
            theirs.remove(canary);
            if theirs.is_empty() {
                state.beyond.remove(subject);
            }
        }
    }

    /// The Canaries of a group that an object's change concerns.
    pub(crate) fn concerned(
        &self,
        group: Group,
        changed: &Subject,
        delegates: &Delegates,
    ) -> Vec<reflector::ObjectRef<Guarded>> {
        let mut state = self.state();
        let mut concerned = state.beyond.get(changed).cloned().unwrap_or_default();
        concerned.retain(|key| key.group == group);
        let depends = |(_, it): &(&Key, &Interest)| it.subjects.contains(changed);
        let near = state.within(group, &changed.namespace).filter(depends);
        concerned.extend(near.map(|(key, _)| key.clone()));
        for (namespace, name) in delegates {
            let leads = |(_, it): &(&Key, &Interest)| it.delegate.as_ref() == Some(name);
            let led = state.within(group, namespace).filter(leads);
            concerned.extend(led.map(|(key, _)| key.clone()));
        }
        state.wake(&concerned)
    }

    /// The Canaries of a group that depend on any object of a kind. They are concerned when its watch has begun anew,
    /// for objects that went meanwhile are not told.
    pub(crate) fn concerned_by_kind(
        &self,
        group: Group,
        kind: &'static str,
    ) -> Vec<reflector::ObjectRef<Guarded>> {
        let mut state = self.state();
        let depends = |it: &Interest| it.subjects.iter().any(|it| it.kind == kind);
        let theirs = state.all.iter().filter(|(key, it)| key.group == group && depends(it));
        let concerned = theirs.map(|(key, _)| key.clone()).collect();
        state.wake(&concerned)
    }

    fn of<T>(&self, canary: &Canary, act: impl FnOnce(&mut Interest) -> T) -> T {
        act(self.state().all.entry(Key::of(canary)).or_default())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The Canaries of a namespace.
    fn within(&self, group: Group, namespace: &str) -> impl Iterator<Item = (&Key, &Interest)> {
        let from = Key { group, namespace: namespace.to_owned(), name: String::new() };
        let here = from.namespace.clone();
        let near = self.all.range(from..);
        near.take_while(move |(key, _)| key.group == group && key.namespace == here)
    }

    fn wake(&mut self, concerned: &BTreeSet<Key>) -> Vec<reflector::ObjectRef<Guarded>> {
        for key in concerned {
            if let Some(interest) = self.all.get_mut(key) {
                interest.events = interest.events.wrapping_add(1);
            }
        }
        concerned.iter().map(Key::woken).collect()
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

    #[test]
    fn an_object_of_another_namespace_wakes_who_named_it_until_that_one_is_gone() {
        let interests = Interests::default();
        let gateway = subject(Kind::Service, "edge", "public");
        interests.add_subject(&of("shop"), gateway.clone());
        interests.add_subject(&of("cart"), gateway.clone());
        let woken = || {
            let refs = interests.concerned(Group::Serin, &gateway, &Delegates::new());
            refs.into_iter().map(|it| it.name).collect::<Vec<_>>()
        };
        assert_eq!(woken(), ["cart", "shop"]);
        interests.forget(&Key::of(&of("cart")));
        assert_eq!(woken(), ["shop"]);
        assert_eq!(interests.events(&of("shop")), 2);
        assert!(
            interests.concerned(Group::Flagger, &gateway, &Delegates::new()).is_empty(),
            "that is another controller's group"
        );
    }

    #[test]
    fn whose_interest_it_is_does_not_depend_on_where_its_namespace_stands_among_others() {
        let interests = Interests::default();
        let config = || [ObjectRef { kind: Kind::ConfigMap, name: "settings".into() }];
        for namespace in ["a", "prod", "prod-2", "z"] {
            interests.add(&Canary::new("shop", namespace, CanarySpec::default()), config());
        }
        for namespace in ["a", "prod", "prod-2", "z"] {
            assert_eq!(concerned(&interests, namespace, "settings"), 1, "{namespace}");
        }
        assert_eq!(concerned(&interests, "pro", "settings"), 0);
    }
}
