//! What `deploy/` installs, as far as it can be wrong without a cluster: who is selected, and what pods are denied.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::{Value, json};

const CONTROLLER: &str = include_str!("../../deploy/base/controller.yaml");
const TELEMETRY: &str = include_str!("../../deploy/base/telemetry.yaml");

fn objects(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

fn of_kind(text: &str, kind: &str) -> Value {
    objects(text).into_iter().find(|it| it["kind"] == kind).unwrap()
}

/// Whether a selector takes pods with these labels.
fn selects(selector: &Value, labels: &Value) -> bool {
    let all = selector.as_object().unwrap();
    !all.is_empty() && all.iter().all(|(key, value)| labels[key] == *value)
}

#[test]
fn pods_are_found_by_all_that_select_them() {
    let deployment = of_kind(CONTROLLER, "Deployment");
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert!(selects(&deployment["spec"]["selector"]["matchLabels"], labels));
    let budget = of_kind(CONTROLLER, "PodDisruptionBudget");
    assert!(selects(&budget["spec"]["selector"]["matchLabels"], labels));
    let service = &of_kind(TELEMETRY, "Service")["spec"]["selector"];
    assert!(!selects(service, labels), "a pod that does not lead receives no reports");
    let mut leader = labels.clone();
    leader["serin.dev/leader"] = "true".into();
    assert!(selects(service, &leader));
}

#[test]
fn every_port_that_is_named_is_there() {
    let deployment = of_kind(CONTROLLER, "Deployment");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let ports = container["ports"].as_array().unwrap();
    let has = |name: &Value| ports.iter().any(|it| it["name"] == *name);
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        assert!(has(&container[probe]["httpGet"]["port"]), "{probe}");
    }
    assert!(has(&of_kind(TELEMETRY, "Service")["spec"]["ports"][0]["targetPort"]));
}

/// Pod Security's `restricted`, field by field.
#[test]
fn pods_are_restricted() {
    let deployment = of_kind(CONTROLLER, "Deployment");
    let pod = &deployment["spec"]["template"]["spec"];
    let whole = json!({ "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } });
    assert_eq!(pod["securityContext"], whole);
    let each = json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": { "drop": ["ALL"] },
    });
    let containers = pod["containers"].as_array().unwrap();
    assert!(containers.iter().all(|it| it["securityContext"] == each));
    for forbidden in ["volumes", "hostNetwork", "hostPID", "hostIPC"] {
        assert!(pod[forbidden].is_null(), "{forbidden}");
    }
}
