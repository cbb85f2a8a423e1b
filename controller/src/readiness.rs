//! Whether a Deployment can serve, by its status: Flagger's rules and words.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::core::DynamicObject;
use serde_json::Value;
use serin_rollout::Readiness;

/// What Kubernetes says when its own deadline has passed.
const DEADLINE_EXCEEDED: &str = "ProgressDeadlineExceeded";

/// Whether a Deployment can serve: so many percent of its pods are available, at its present template. It never will
/// if Kubernetes has given up on it, or if it had too few pods for longer than `deadline`.
pub(crate) fn readiness(
    deployment: &DynamicObject,
    percent: u8,
    deadline: Duration,
    now: Timestamp,
) -> Readiness {
    let status = &deployment.data["status"];
    if deployment.metadata.generation > status["observedGeneration"].as_i64() {
        return Readiness::Waiting;
    }
    let progressing = condition(status, "Progressing");
    if progressing["reason"] == DEADLINE_EXCEEDED {
        return Readiness::Failed(format!(
            "{}: exceeded its progress deadline",
            subject(deployment)
        ));
    }
    let Some(missing) = missing(&deployment.data, percent) else { return Readiness::Ready };
    let available = condition(status, "Available");
    let too_few = available["status"] == "False" && !progressing.is_null();
    if too_few && has_passed(&available["lastUpdateTime"], deadline, now) {
        return Readiness::Failed(format!("{}: {missing}", subject(deployment)));
    }
    Readiness::Waiting
}

/// Pods that get traffic.
pub(crate) fn ready_pods(deployment: &DynamicObject) -> u32 {
    u32::try_from(number(&deployment.data["status"]["readyReplicas"])).unwrap_or(0)
}

/// What is still missing; nothing if nothing is.
fn missing(data: &Value, percent: u8) -> Option<String> {
    let (spec, status) = (&data["spec"], &data["status"]);
    let wanted = spec["replicas"].as_i64().unwrap_or(1);
    let updated = number(&status["updatedReplicas"]);
    let all = number(&status["replicas"]);
    let available = number(&status["availableReplicas"]);
    let waiting = "waiting for rollout to finish";
    if wanted == 0 {
        return Some(format!("{waiting}: it is scaled to zero"));
    }
    if updated < wanted {
        return Some(format!(
            "{waiting}: {updated} out of {wanted} new replicas have been updated"
        ));
    }
    if all > updated {
        let old = all - updated;
        return Some(format!("{waiting}: {old} old replicas are pending termination"));
    }
    let enough = updated * i64::from(percent) / 100;
    // With a threshold of 0 it still takes a pod to serve.
    (available < enough.max(1)).then(|| {
        format!("{waiting}: {available} of {updated} (readyThreshold {percent}%) updated replicas are available")
    })
}

fn condition<'s>(status: &'s Value, kind: &str) -> &'s Value {
    let mut conditions = status["conditions"].as_array().into_iter().flatten();
    conditions.find(|it| it["type"] == kind).unwrap_or(&Value::Null)
}

fn has_passed(since: &Value, span: Duration, now: Timestamp) -> bool {
    let since: Option<Timestamp> = since.as_str().and_then(|text| text.parse().ok());
    let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
    since.is_some_and(|since| now.duration_since(since) > span)
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0).clamp(0, i64::from(i32::MAX))
}

fn subject(deployment: &DynamicObject) -> String {
    let metadata = &deployment.metadata;
    let [name, namespace] =
        [&metadata.name, &metadata.namespace].map(|it| it.as_deref().unwrap_or_default());
    format!("deployment {name}.{namespace} not ready")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::deployment;
    use serde_json::json;

    const DEADLINE: Duration = Duration::from_mins(10);

    /// Of a Deployment of generation 2 with three replicas.
    fn of(status: Value, percent: u8) -> Readiness {
        let mut it = deployment("shop", "shop:1");
        it.metadata.generation = Some(2);
        it.data["status"] = status;
        readiness(&it, percent, DEADLINE, "2026-01-01T01:00:00Z".parse().unwrap())
    }

    fn counts(updated: i64, all: i64, available: i64) -> Value {
        json!({
            "observedGeneration": 2,
            "updatedReplicas": updated,
            "replicas": all,
            "availableReplicas": available,
        })
    }

    #[test]
    fn it_is_ready_when_enough_pods_of_its_present_template_are_available() {
        assert_eq!(of(counts(3, 3, 3), 100), Readiness::Ready);
        assert_eq!(of(counts(3, 3, 2), 60), Readiness::Ready);
        for status in [counts(3, 3, 2), counts(2, 3, 3), counts(3, 4, 4), json!({})] {
            assert_eq!(of(status.clone(), 100), Readiness::Waiting, "{status}");
        }
        let mut behind = counts(3, 3, 3);
        behind["observedGeneration"] = json!(1);
        assert_eq!(of(behind, 100), Readiness::Waiting);
    }

    #[test]
    fn without_pods_nobody_serves_whatever_the_threshold() {
        assert_eq!(of(counts(3, 3, 0), 0), Readiness::Waiting);
        let mut none = deployment("shop", "shop:1");
        none.data["spec"]["replicas"] = json!(0);
        none.data["status"] = json!({});
        let now = "2026-01-01T01:00:00Z".parse().unwrap();
        assert_eq!(readiness(&none, 100, DEADLINE, now), Readiness::Waiting);
    }

    #[test]
    fn a_deadline_that_passed_is_the_end() {
        let mut given_up = counts(3, 3, 2);
        given_up["conditions"] = json!([{ "type": "Progressing", "reason": DEADLINE_EXCEEDED }]);
        let Readiness::Failed(why) = of(given_up, 100) else { panic!() };
        assert_eq!(why, "deployment shop.prod not ready: exceeded its progress deadline");
        let since = |time: &str| {
            let mut status = counts(3, 3, 2);
            status["conditions"] = json!([
                { "type": "Progressing", "status": "True" },
                { "type": "Available", "status": "False", "lastUpdateTime": time },
            ]);
            of(status, 100)
        };
        assert_eq!(since("2026-01-01T00:55:00Z"), Readiness::Waiting);
        let Readiness::Failed(why) = since("2026-01-01T00:49:00Z") else { panic!() };
        assert!(why.contains("2 of 3 (readyThreshold 100%)"), "{why}");
    }
}
