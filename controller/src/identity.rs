//! Whose an object is: the names, labels and owner reference that everything made for a Canary carries.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::{DynamicObject, ObjectMeta};
use serde_json::Value;
use serin_api::{Canary, Group, keys};
use siphasher::sip::SipHasher13;

use crate::kind::Kind;

/// Bytes of a label's value, at most.
const LABEL_BYTES_MAX: usize = 63;

/// Which Canary something is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its group.
    pub group: Group,
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its uid: a Canary of the same name that is made later is another one.
    pub uid: String,
}

impl Identity {
    /// Of a Canary as the API server returned it.
    pub fn of(canary: &Canary) -> Self {
        Self {
            group: canary.group,
            name: canary.name().to_owned(),
            namespace: canary.namespace().to_owned(),
            uid: canary.metadata.uid.clone().unwrap_or_default(),
        }
    }

    /// The labels of everything made for it. They are how its objects are found; selectors never use them.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let entries = [
            (keys::OWNER, label_value(&self.name)),
            (keys::MANAGED_BY, keys::FIELD_MANAGER.to_owned()),
        ];
        entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    /// Makes Kubernetes delete an object with its Canary.
    pub fn owner_reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: self.group.api_version(),
            kind: keys::CANARY.to_owned(),
            name: self.name.clone(),
            uid: self.uid.clone(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }
    }

    /// Whether it owns an object.
    pub fn owns(&self, object: &DynamicObject) -> bool {
        let owners = object.metadata.owner_references.iter().flatten();
        owners.into_iter().any(|owner| owner.uid == self.uid)
    }

    /// An object made for it: labelled, kept from Flux, owned.
    pub(crate) fn object(&self, kind: Kind, name: &str, data: Value) -> DynamicObject {
        let mut object = DynamicObject::new(name, &kind.resource()).data(data);
        object.metadata = ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(self.namespace.clone()),
            labels: Some(self.labels()),
            annotations: Some(flux_off()),
            owner_references: Some(vec![self.owner_reference()]),
            ..ObjectMeta::default()
        };
        object
    }
}

/// Keeps Flux from reverting or pruning what we make.
pub(crate) fn flux_off() -> BTreeMap<String, String> {
    keys::FLUX_OFF.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A name as a label's value: as it is if it fits, else its beginning and a hash of all of it.
pub(crate) fn label_value(name: &str) -> String {
    if name.len() <= LABEL_BYTES_MAX {
        return name.to_owned();
    }
    let hash = format!("{:016x}", SipHasher13::new().hash(name.as_bytes()));
    // Names of Kubernetes are ASCII; whatever else comes loses what does not fit.
    let kept: String = name.chars().filter(char::is_ascii).take(LABEL_BYTES_MAX - 17).collect();
    format!("{kept}-{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_valid_labels_and_stay_apart() {
        let (one, other) = ("a".repeat(200), format!("{}b", "a".repeat(199)));
        assert_eq!(label_value("shop"), "shop");
        assert_eq!(label_value(&one).len(), LABEL_BYTES_MAX);
        assert_ne!(label_value(&one), label_value(&other));
    }

    #[test]
    fn an_object_is_owned_and_labelled() {
        let identity = Identity {
            group: Group::Flagger,
            name: "shop".into(),
            namespace: "prod".into(),
            uid: "u1".into(),
        };
        let object = identity.object(Kind::Service, "shop-primary", Value::Null);
        assert!(identity.owns(&object));
        assert!(!Identity { uid: "u2".into(), ..identity.clone() }.owns(&object));
        let owner = identity.owner_reference();
        assert_eq!(owner.api_version, "flagger.app/v1beta1");
        assert_eq!(object.metadata.labels.unwrap()[keys::OWNER], "shop");
    }
}
