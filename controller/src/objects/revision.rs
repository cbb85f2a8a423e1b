//! Which revision a workload runs: a hash of all that its pods are made of.

use std::hash::Hasher;

use kube::core::DynamicObject;
use serde_json::Value;
use siphasher::sip::SipHasher13;

use super::config;
use super::target::retain_copied;

/// The revision of a target: 16 hexadecimal digits that change with its pod template and with the data of the
/// `ConfigMap`s and Secrets that are tracked for it. Replicas are no part of it.
///
/// Of the template counts what a person or a controller wrote; Flux's marks do not, for they change when nothing does.
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
            items.iter().for_each(|item| digest(item, hasher));
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
    use crate::fixture::{config_map, deployment};
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
