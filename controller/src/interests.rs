//! Which Canaries an event concerns.
//!
//! A Canary names what it depends on before it reads it, so that no change falls between the two. Interests are only
//! added to while it lives: one too many costs a look, one too few would cost a release.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use kube::core::ObjectMeta;
use kube::runtime::reflector;
use serin_api::{Canary, Group};

use crate::kind::Kind;
use crate::objects::ObjectRef;

/// Interests of all Canaries.
#[derive(Debug, Default)]
pub(crate) struct Interests(Mutex<BTreeMap<Key, BTreeSet<ObjectRef>>>);

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
}

impl Interests {
    /// From now on the Canary is woken by changes of these objects of its namespace.
    pub(crate) fn add(&self, canary: &Canary, objects: impl IntoIterator<Item = ObjectRef>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(Key::of(canary)).or_default().extend(objects);
    }

    /// The Canary is gone.
    pub(crate) fn forget(&self, canary: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(canary);
    }

    /// The Canaries of a group that an object's change concerns.
    pub(crate) fn concerned(
        &self,
        group: Group,
        kind: Kind,
        object: &ObjectMeta,
    ) -> Vec<reflector::ObjectRef<Canary>> {
        let (Some(namespace), Some(name)) = (&object.namespace, &object.name) else {
            return Vec::new();
        };
        let changed = ObjectRef { kind, name: name.clone() };
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let theirs = all.iter().filter(|(key, objects)| {
            key.group == group && key.namespace == *namespace && objects.contains(&changed)
        });
        let canary =
            |key: &Key| reflector::ObjectRef::new_with(&key.name, group).within(&key.namespace);
        theirs.map(|(key, _)| canary(key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serin_api::CanarySpec;

    fn concerned(interests: &Interests, namespace: &str, name: &str) -> usize {
        let object = ObjectMeta {
            name: Some(name.into()),
            namespace: Some(namespace.into()),
            ..ObjectMeta::default()
        };
        interests.concerned(Group::Serin, Kind::ConfigMap, &object).len()
    }

    #[test]
    fn an_event_wakes_whose_interest_it_is_and_nobody_else() {
        let interests = Interests::default();
        let of = |name: &str| Canary::new(name, "prod", CanarySpec::default());
        let config = |name: &str| [ObjectRef { kind: Kind::ConfigMap, name: name.into() }];
        interests.add(&of("shop"), config("shared"));
        interests.add(&of("cart"), config("shared"));
        interests.add(&of("cart"), config("cart"));
        assert_eq!(concerned(&interests, "prod", "shared"), 2);
        assert_eq!(concerned(&interests, "prod", "cart"), 1);
        assert_eq!(concerned(&interests, "test", "shared"), 0);
        assert_eq!(concerned(&interests, "prod", "other"), 0);
        let secret = ObjectMeta {
            name: Some("cart".into()),
            namespace: Some("prod".into()),
            ..ObjectMeta::default()
        };
        assert!(interests.concerned(Group::Serin, Kind::Secret, &secret).is_empty());
        assert!(interests.concerned(Group::Flagger, Kind::ConfigMap, &secret).is_empty());
        interests.forget(&Key::of(&of("cart")));
        assert_eq!(concerned(&interests, "prod", "shared"), 1);
    }
}
