use super::*;
use crate::fixture::{at_rest, config_map, deployment, facts, in_rollout};
use crate::objects::revision;

fn seen(image: &str) -> Observed {
    Observed::new(deployment("shop", image), Vec::new())
}

fn built(desired: &Desired, seen: &Observed) -> (Wanted, Option<Gap>) {
    let target = Target::read(&seen.target).unwrap();
    primary(&facts(), desired, seen, &target)
}

fn applied(desired: &Desired, seen: &Observed) -> DynamicObject {
    let (Wanted::Apply(object), None) = built(desired, seen) else { panic!("not applied") };
    *object
}

fn image(object: &DynamicObject) -> &str {
    object.data["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap()
}

#[test]
fn primary_is_the_target_with_a_selector_of_its_own() {
    let first = seen("shop:1");
    let it = applied(&at_rest(&first.revision), &first);
    assert_eq!(it.metadata.name.as_deref(), Some("shop-primary"));
    assert_eq!(it.data["spec"]["selector"]["matchLabels"], json!({ "app": "web-primary" }));
    assert_eq!(it.data["spec"]["template"]["metadata"]["labels"]["tier"], "front");
    assert!(it.data["spec"].get("replicas").is_none());
    assert_eq!(template::marked(template_of(&it)), Some(first.revision.as_str()));
}

#[test]
fn a_new_revision_does_not_reach_primary_before_it_is_promoted() {
    let (old, new) = (seen("shop:1"), seen("shop:2"));
    let promoted_template = Some(old.target.data["spec"]["template"].clone());
    let during = Observed { promoted_template, ..new.clone() };
    assert_eq!(image(&applied(&in_rollout(&old.revision, 10), &during)), "shop:1");
    assert_eq!(image(&applied(&in_rollout(&new.revision, 10), &during)), "shop:2");
    // A later one, while the second is being promoted, does not either.
    let third = seen("shop:3");
    let template = Some(new.target.data["spec"]["template"].clone());
    let during = Observed { promoted_template: template, ..third };
    assert_eq!(image(&applied(&in_rollout(&new.revision, 50), &during)), "shop:2");
}

#[test]
fn a_template_that_is_known_nowhere_is_left_alone_and_its_loss_is_told() {
    let (old, mut new) = (seen("shop:1"), seen("shop:2"));
    let desired = in_rollout(&old.revision, 10);
    let (wanted, gap) = built(&desired, &new);
    assert!(matches!(wanted, Wanted::Keep(_)));
    assert_eq!(gap, Some(Gap::Template { name: "shop-primary".into() }));
    new.primary = Some(deployment("shop-primary", "shop:1"));
    assert_eq!(built(&desired, &new).1, None);
}

#[test]
fn before_anything_was_promoted_the_target_may_be_corrected() {
    let (broken, fixed) = (seen("shop:broken"), seen("shop:1"));
    let desired = Desired { initialized: false, canary_runs: true, ..at_rest(&broken.revision) };
    assert_eq!(image(&applied(&desired, &fixed)), "shop:1");
    // Unless primary serves: then it came from another controller, and the target is new.
    let mut primary = deployment("shop-primary", "shop:0");
    primary.data["status"]["availableReplicas"] = json!(2);
    let taken_over = Observed { primary: Some(primary), ..fixed };
    assert!(matches!(built(&desired, &taken_over).0, Wanted::Keep(_)));
}

/// Flagger's primary: another id at each promotion, no mark of ours.
fn flaggers(image: &str) -> DynamicObject {
    let mut primary = deployment("shop-primary", image);
    let metadata = &mut primary.data["spec"]["template"]["metadata"];
    metadata["labels"]["app"] = json!("web-primary");
    metadata["annotations"] = json!({ keys::FLAGGER_ID: "0b2e" });
    primary
}

#[test]
fn taking_over_replaces_no_pod() {
    let mut first = Observed { primary: Some(flaggers("shop:1")), ..seen("shop:1") };
    assert_eq!(primary_revision(&first), Some(first.revision.clone()));
    let it = applied(&at_rest(&first.revision), &first);
    assert_eq!(template::marked(template_of(&it)), None);
    let annotations = it.metadata.annotations.clone().unwrap();
    assert_eq!(annotations[keys::TAKEN_OVER_REVISION], first.revision);
    // Nor does the next look.
    first.primary = Some(it.clone());
    assert_eq!(applied(&at_rest(&first.revision), &first), it);
    // The first promotion marks it.
    let second = Observed { primary: Some(it), ..seen("shop:2") };
    let promoted = applied(&in_rollout(&second.revision, 50), &second);
    assert_eq!(template::marked(template_of(&promoted)), Some(second.revision.as_str()));
    assert!(!promoted.metadata.annotations.unwrap().contains_key(keys::TAKEN_OVER_REVISION));
    let other = Observed { primary: Some(flaggers("shop:0")), ..seen("shop:1") };
    assert_eq!(primary_revision(&other), None);
}

#[test]
fn a_changed_config_map_replaces_primarys_pods_at_promotion() {
    let target = |value: &str| {
        let mut target = deployment("shop", "shop:1");
        target.data["spec"]["template"]["spec"]["containers"][0]["envFrom"] =
            json!([{ "configMapRef": { "name": "env" } }]);
        Observed::new(target, vec![config_map("env", value)])
    };
    let (old, new) = (target("1"), target("2"));
    assert_ne!(old.revision, new.revision);
    let primary = applied(&at_rest(&old.revision), &old);
    let new = Observed { primary: Some(primary.clone()), ..new };
    let promoted = applied(&in_rollout(&new.revision, 50), &new);
    assert_ne!(template_of(&promoted), template_of(&primary));
    assert_eq!(
        template::unmarked(template_of(&promoted)),
        template::unmarked(template_of(&primary))
    );
    assert_eq!(new.revision, revision(&new.target, &new.configs));
}
