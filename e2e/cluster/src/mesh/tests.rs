//! What is said of objects that are not ready, and that manifests agree with the rest of the crate.

use super::*;
use crate::{images, place};

fn deployment(available: u64, generation: u64) -> Value {
    json!({
        "metadata": { "namespace": "web", "name": "shop", "generation": 3 },
        "spec": { "replicas": 2 },
        "status": {
            "availableReplicas": available, "updatedReplicas": 2, "observedGeneration": generation,
        },
    })
}

#[test]
fn a_deployment_is_ready_when_all_its_present_pods_are() {
    assert_eq!(lacking(&[deployment(2, 3)], "web", "shop"), None);
    let lacks_one = lacking(&[deployment(1, 3)], "web", "shop").expect("not ready");
    assert_eq!(lacks_one, "deployment web/shop: 1 of 2 pods available");
    assert!(lacking(&[deployment(2, 2)], "web", "shop").is_some(), "an older generation's");
    assert!(lacking(&[deployment(2, 3)], "web", "other").is_some(), "no such deployment");
}

#[test]
fn a_stuck_pod_says_which_container_waits_and_for_what() {
    let pod = |status: Value| json!({ "metadata": { "namespace": "web", "name": "shop-1" }, "status": status });
    let pulling = pod(json!({
        "phase": "Pending",
        "containerStatuses": [
            { "name": "app", "ready": false,
              "state": { "waiting": { "reason": "ErrImagePull", "message": "no such host" } } },
            { "name": "proxy", "ready": true, "state": { "running": {} } },
        ],
    }));
    let unscheduled = pod(json!({
        "phase": "Pending",
        "conditions": [{ "type": "PodScheduled", "status": "False", "message": "no node" }],
    }));
    let ready = pod(json!({ "conditions": [{ "type": "Ready", "status": "True" }] }));
    assert_eq!(
        stuck(&[pulling, unscheduled, ready]),
        ["pod web/shop-1: app ErrImagePull no such host", "pod web/shop-1: Pending no node"]
    );
}

#[test]
fn manifests_name_the_addresses_and_images_of_this_crate() {
    assert!(COREDNS.contains(&format!("clusterIP: {}\n", place::DNS_SERVICE)));
    assert!(REGISTRY.contains(&format!("addr: \":{}\"", place::REGISTRY_PORT)));
    assert!(PROMETHEUS.contains(&format!("nodePort: {}}}", place::PROMETHEUS_PORT)));
    assert!(ISTIO_OPERATOR.contains(&format!("nodePort: {}}}", place::GATEWAY_PORT)));
    assert!(ISTIO_OPERATOR.contains(&format!("hub: {}\n  tag: {ISTIO}\n", images::HUB)));
    for manifest in [COREDNS, METRICS_SERVER, REGISTRY, PROMETHEUS] {
        let image = manifest.lines().find_map(|line| line.trim().strip_prefix("image: "));
        assert!(image.expect("an image").starts_with(images::HUB));
    }
}
