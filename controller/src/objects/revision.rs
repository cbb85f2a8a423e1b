//! Which revision a workload runs: a hash of all that its pods are made of.

use std::hash::Hasher;

use kube::core::DynamicObject;
use serde_json::Value;
use siphasher::sip::SipHasher13;

use super::facts::Observed;
use super::target::retain_copied;
use super::{config, workload};

/// The revision of a target: 16 hexadecimal digits that change with its pod template and with the data of the
/// `ConfigMap`s and Secrets that are tracked for it. Replicas are no part of it.
///
/// Of the template counts what a person or a controller wrote; Flux's marks do not, for they change when nothing
/// does.
pub fn revision(target: &DynamicObject, configs: &[DynamicObject]) -> String {
    let mut template = target.data["spec"]["template"].clone();
    for part in ["/metadata/labels", "/metadata/annotations"] {
        let Some(marks) = template.pointer_mut(part) else { continue };
        retain_copied(marks);
        // A map that holds nothing is as good as none.
        if marks.as_object().is_some_and(serde_json::Map::is_empty) {
            *marks = Value::Null;
        }
    }
    let mut hasher = SipHasher13::new();
    digest(&template, &mut hasher);
    for (kind, name, object) in config::tracked(&template, configs) {
        sized(7, kind.name().as_bytes(), &mut hasher);
        sized(8, name.as_bytes(), &mut hasher);
        for part in config::CONTENT {
            digest(&object.data[part], &mut hasher);
        }
    }
    format!("{:016x}", hasher.finish())
}

/// The revision of the target as it should be told: that of primary, if primary runs just this, else its own hash.
///
/// API servers fill in defaults as they read, and a newer one knows more of them: by its hash alone every target
/// would be new after an upgrade of the cluster, and be released. Primary is read by the same server.
pub fn target_revision(seen: &Observed) -> String {
    let own = || revision(&seen.target, &seen.configs);
    let noted = seen.primary.as_ref().and_then(workload::noted);
    noted.filter(|_| workload::runs_the_targets(seen)).map_or_else(own, str::to_owned)
}

/// Feeds a value to a hasher so that equal values count as equal, whatever the order of their keys, and no two
/// different ones run together.
fn digest(value: &Value, hasher: &mut SipHasher13) {
    match value {
        // What is empty is not there: API servers drop and add such things as they please.
        Value::Null => hasher.write_u8(0),
        Value::Bool(flag) => hasher.write(&[1, u8::from(*flag)]),
        Value::Number(number) => sized(2, number.to_string().as_bytes(), hasher),
        Value::String(text) => sized(3, text.as_bytes(), hasher),
        Value::Array(items) => {
            sized(4, &items.len().to_le_bytes(), hasher);
            for item in items {
                digest(item, hasher);
            }
        }
        Value::Object(map) => {
            let mut fields: Vec<_> = map.iter().filter(|(_, value)| !value.is_null()).collect();
            fields.sort_by_key(|(key, _)| *key);
            sized(5, &fields.len().to_le_bytes(), hasher);
            for (key, value) in fields {
                sized(6, key.as_bytes(), hasher);
                digest(value, hasher);
            }
        }
    }
}

fn sized(tag: u8, bytes: &[u8], hasher: &mut SipHasher13) {
    hasher.write_u8(tag);
    hasher.write(&bytes.len().to_le_bytes());
    hasher.write(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{at_rest, config_map, deployment, facts};
    use crate::kind::Kind;
    use crate::objects::objects;
    use serde_json::json;

    #[test]
    fn it_changes_with_what_pods_are_made_of_and_with_nothing_else() {
        let base = deployment("shop", "shop:1");
        let first = revision(&base, &[]);
        assert_eq!(first.len(), 16);
        let mut same = base.clone();
        same.data["spec"]["replicas"] = json!(7);
        same.metadata.resource_version = Some("99".into());
        same.data["spec"]["template"]["metadata"]["annotations"] =
            json!({ "kustomize.toolkit.fluxcd.io/checksum": "x" });
        let mut marked = base.clone();
        marked.data["spec"]["template"]["metadata"]["annotations"] = json!({});
        assert_eq!(revision(&same, &[]), revision(&marked, &[]));
        assert_ne!(first, revision(&deployment("shop", "shop:2"), &[]));
    }

    #[test]
    fn tracked_data_counts_by_name_and_content() {
        let mut target = deployment("shop", "shop:1");
        target.data["spec"]["template"]["spec"]["containers"][0]["envFrom"] =
            json!([{ "configMapRef": { "name": "env" } }]);
        let of = |configs: &[DynamicObject]| revision(&target, configs);
        let one = of(&[config_map("env", "a")]);
        assert_ne!(one, of(&[config_map("env", "b")]));
        assert_ne!(one, of(&[]));
        assert_eq!(one, of(&[config_map("env", "a"), config_map("unrelated", "b")]));
    }

    #[test]
    fn a_default_that_a_new_api_server_fills_in_is_no_release() {
        let target = |value: &str| {
            let mut target = deployment("shop", "shop:1");
            target.data["spec"]["template"]["spec"]["containers"][0]["envFrom"] =
                json!([{ "configMapRef": { "name": "env" } }]);
            Observed::new(target, vec![config_map("env", value)])
        };
        let mut seen = target("a");
        let made = objects(&facts(), &at_rest(&seen.revision), &seen).unwrap();
        for object in made.applied() {
            match Kind::of(&object) {
                Some(Kind::Deployment) => seen.primary = Some(object),
                Some(Kind::ConfigMap) => seen.copies.push(object),
                _ => {}
            }
        }
        let before = seen.revision.clone();
        let primary = seen.primary.as_mut().unwrap();
        for workload in [&mut seen.target, primary] {
            workload.data["spec"]["template"]["spec"]["newDefault"] = json!("x");
        }
        assert_ne!(revision(&seen.target, &seen.configs), before);
        assert_eq!(target_revision(&seen), before);
        let edited = Observed { configs: vec![config_map("env", "b")], ..seen.clone() };
        assert_ne!(target_revision(&edited), before);
        seen.target.data["spec"]["template"]["spec"]["containers"][0]["image"] = json!("shop:2");
        assert_eq!(target_revision(&seen), revision(&seen.target, &seen.configs));
    }

    #[test]
    fn keys_have_no_order_and_values_do_not_run_together() {
        let of = |value: &Value| {
            let mut hasher = SipHasher13::new();
            digest(value, &mut hasher);
            hasher.finish()
        };
        assert_eq!(of(&json!({"a": 1, "b": null})), of(&json!({"a": 1})));
        assert_ne!(of(&json!(["ab", "c"])), of(&json!(["a", "bc"])));
        assert_ne!(of(&json!([["a"], "b"])), of(&json!([["a", "b"]])));
        assert_ne!(of(&json!("1")), of(&json!(1)));
    }
}
