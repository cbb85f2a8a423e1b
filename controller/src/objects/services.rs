//! The three Services: the apex, which clients call, and one for each track.

use std::collections::BTreeMap;

use kube::core::DynamicObject;
use serde_json::{Map, Value, json};
use serin_api::canary::Metadata;
use serin_api::keys;
use serin_rollout::Desired;
use serin_route::Track;

use super::facts::{Facts, Observed};
use super::target::Target;
use super::{ObjectRef, Wanted, adopt, ports};
use crate::kind::Kind;

/// The Service of a track.
pub(super) fn track_service(facts: &Facts, track: Track) -> String {
    let suffix = match track {
        Track::Primary => keys::PRIMARY_SUFFIX,
        Track::Canary => keys::CANARY_SUFFIX,
    };
    format!("{}{suffix}", facts.apex)
}

/// Apex, primary, canary.
pub(super) fn services(
    facts: &Facts,
    desired: &Desired,
    seen: &Observed,
    target: &Target<'_>,
) -> Vec<Wanted> {
    let tracks = [
        (Track::Primary, target.primary_selector(), &facts.service.primary),
        (Track::Canary, target.canary_selector(), &facts.service.canary),
    ];
    let tracks = tracks.into_iter().map(|(track, selector, given)| {
        let name = track_service(facts, track);
        let service = service(facts, target, &name, &selector, given.as_ref());
        Wanted::Apply(Box::new(service))
    });
    [apex(facts, desired, seen, target)].into_iter().chain(tracks).collect()
}

/// Before primary can serve, the apex leads to the target if nobody else has made it; then to primary, and after a
/// failed promotion to the canary, for callers without a proxy too.
fn apex(facts: &Facts, desired: &Desired, seen: &Observed, target: &Target<'_>) -> Wanted {
    let first = !desired.initialized;
    if first && seen.apex.is_some() {
        return Wanted::Keep(ObjectRef { kind: Kind::Service, name: facts.apex.clone() });
    }
    let selector = if first || desired.default == Track::Canary {
        target.canary_selector()
    } else {
        target.primary_selector()
    };
    let mut service = service(facts, target, &facts.apex, &selector, facts.service.apex.as_ref());
    let original = |found: &DynamicObject| adopt::service(found, target);
    if adopt::mark(&mut service, &facts.identity, seen.apex.as_ref(), original) {
        // It is what it is: Kubernetes lets nobody change it.
        service.data["spec"]
            .as_object_mut()
            .into_iter()
            .for_each(|it| drop(it.remove("clusterIP")));
    }
    Wanted::Apply(Box::new(service))
}

fn service(
    facts: &Facts,
    target: &Target<'_>,
    name: &str,
    selector: &BTreeMap<String, String>,
    given: Option<&Metadata>,
) -> DynamicObject {
    let mut spec = Map::new();
    spec.insert("selector".to_owned(), json!(selector));
    spec.insert("ports".to_owned(), ports::ports(&facts.service, target.template()).into());
    if facts.service.headless {
        spec.insert("clusterIP".to_owned(), "None".into());
    }
    if let Some(distribution) = &facts.service.traffic_distribution {
        spec.insert("trafficDistribution".to_owned(), distribution.as_str().into());
    }
    let mut object =
        facts.identity.object(Kind::Service, name, json!({ "spec": Value::Object(spec) }));
    dress(&mut object, given, target.label, name);
    object
}

/// The author's labels and annotations, and the label by which people select what belongs together.
pub(super) fn dress(object: &mut DynamicObject, given: Option<&Metadata>, label: &str, name: &str) {
    let labels = object.metadata.labels.get_or_insert_default();
    labels.entry(label.to_owned()).or_insert_with(|| name.to_owned());
    let Some(Metadata { labels: more, annotations }) = given else { return };
    for (key, value) in more {
        // Ours are how the object is found again.
        if ![keys::OWNER, keys::MANAGED_BY].contains(&key.as_str()) {
            labels.insert(key.clone(), value.clone());
        }
    }
    object.metadata.annotations.get_or_insert_default().extend(annotations.clone());
}
