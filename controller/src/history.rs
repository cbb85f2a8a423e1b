//! The target's history: what its earlier revisions were made of stands in its `ReplicaSet`s.

use kube::core::DynamicObject;
use serde_json::Value;

use crate::objects::{Observed, revision};

/// By this label a `ReplicaSet` tells its pods from those of its siblings.
const SETS_OWN: &str = "pod-template-hash";

/// Whether a `ReplicaSet` is of this Deployment.
pub(crate) fn is_of(set: &DynamicObject, target: &DynamicObject) -> bool {
    let owners = set.metadata.owner_references.iter().flatten();
    target.metadata.uid.as_ref().is_some_and(|uid| owners.into_iter().any(|it| it.uid == *uid))
}

/// The pod template of a revision. A revision is also made of `ConfigMap`s and Secrets; of one that they have left it
/// is not known any more.
pub(crate) fn template(seen: &Observed, sets: &[DynamicObject], wanted: &str) -> Option<Value> {
    sets.iter().find_map(|set| {
        let mut template = set.data["spec"]["template"].clone();
        if let Some(Value::Object(labels)) = template.pointer_mut("/metadata/labels") {
            labels.remove(SETS_OWN);
        }
        let mut then = seen.target.clone();
        then.data["spec"]["template"] = template.clone();
        (revision(&then, &seen.configs) == wanted).then_some(template)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::deployment;
    use serde_json::json;

    #[test]
    fn an_earlier_revision_is_found_by_what_it_was_made_of() {
        let (old, new) = (deployment("shop", "shop:1"), deployment("shop", "shop:2"));
        let mut set = old.clone();
        set.data["spec"]["template"]["metadata"]["labels"][SETS_OWN] = json!("5d9f");
        let seen = Observed::new(new, Vec::new());
        let sets = [set];
        let found = template(&seen, &sets, &revision(&old, &[]));
        assert_eq!(found.as_ref(), Some(&old.data["spec"]["template"]));
        assert_eq!(template(&seen, &sets, "0000000000000000"), None);
    }
}
