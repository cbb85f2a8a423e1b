//! The rules that Kubernetes checks whenever an object is written, beyond the shape of its fields: in CEL, each with
//! what is said to whom it refuses. They are the mistakes that can be told from one object by a short rule; these, and
//! all others, are [`fn@crate::release`]'s to find. Nothing is refused here that Flagger would run.

use serde_json::{Value, json};

/// The styles of a schedule; a zero means nothing, as in Flagger.
fn styles(analysis: &str) -> [String; 4] {
    let list = |name| format!("has({analysis}.{name}) && size({analysis}.{name}) > 0");
    let number = |name| format!("has({analysis}.{name}) && {analysis}.{name} != 0");
    [list("steps"), number("stepWeight"), list("stepWeights"), number("iterations")]
}

/// How many of some conditions hold. A sum costs less than a list that is filtered: Kubernetes refuses rules that might
/// cost too much.
fn count<S: AsRef<str>>(conditions: &[S]) -> String {
    let counted = conditions.iter().map(|it| format!("({} ? 1 : 0)", it.as_ref()));
    counted.collect::<Vec<_>>().join(" + ")
}

pub(crate) fn spec() -> Value {
    let styles = styles("self.analysis").join(" || ");
    json!([{
        "fieldPath": ".analysis",
        "message": "needs one of steps, stepWeight, stepWeights and iterations",
        "rule": format!("has(self.skipAnalysis) && self.skipAnalysis || {styles}"),
    }])
}

pub(crate) fn analysis() -> Value {
    let rule = format!("{} <= 1", count(&styles("self")));
    one("needs only one of steps, stepWeight, stepWeights and iterations", &rule)
}

pub(crate) fn step() -> Value {
    one("needs one of setWeight and pause", "has(self.setWeight) != has(self.pause)")
}

pub(crate) fn session_affinity() -> Value {
    let rule = "!has(self.primaryCookieName) || self.primaryCookieName != self.cookieName";
    one("primaryCookieName must differ from cookieName", rule)
}

pub(crate) fn user_key() -> Value {
    let places = ["has(self.header)", "has(self.cookie)", "has(self.requestId)"];
    let rule = format!("{} == 1", count(&places));
    one("needs one of header, cookie and requestId", &rule)
}

pub(crate) fn evidence() -> Value {
    json!([
        {
            "message": "alphaRollback must not be above alphaQuarantine: a rollback needs more \
                        than a quarantine",
            "rule": "!has(self.alphaRollback) || !has(self.alphaQuarantine) || \
                     self.alphaRollback <= self.alphaQuarantine",
        },
        {
            "message": "gate pass needs objectives",
            "rule": "!has(self.gate) || self.gate != 'pass' || has(self.objectives)",
        },
    ])
}

pub(crate) fn objectives() -> Value {
    let rule = "has(self.errorRate) || has(self.latency) && size(self.latency) > 0";
    one("needs errorRate or latency", rule)
}

pub(crate) fn threshold_range() -> Value {
    let rule = "!has(self.min) || !has(self.max) || self.min <= self.max";
    one("min must not be above max", rule)
}

pub(crate) fn service() -> Value {
    let none = |name| format!("(!has(self.{name}) || size(self.{name}) == 0)");
    let delegation = "!has(self.delegation) || !self.delegation";
    let rule = format!("{delegation} || {} && {}", none("hosts"), none("gateways"));
    one("a delegate has neither hosts nor gateways: its root has them", &rule)
}

pub(crate) fn scaler_replicas() -> Value {
    let rule = "!has(self.minReplicas) || !has(self.maxReplicas) || \
                self.minReplicas <= self.maxReplicas";
    one("minReplicas must not be above maxReplicas", rule)
}

pub(crate) fn provider() -> Value {
    one("prometheus needs an address", "self.type != 'prometheus' || has(self.address)")
}

pub(crate) fn alert_provider() -> Value {
    one("needs one of address and secretRef", "has(self.address) != has(self.secretRef)")
}

fn one(message: &str, rule: &str) -> Value {
    json!([{ "message": message, "rule": rule }])
}
