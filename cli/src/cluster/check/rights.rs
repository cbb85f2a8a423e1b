//! What the person who asks may do in the namespace.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::PostParams;
use serin_api::keys;

use super::{Cluster, Finding, hidden};

/// What the verbs need: all of them read, the wishes patch.
const VERBS: [&str; 4] = ["get", "list", "watch", "patch"];

pub(super) async fn look(cluster: &Cluster) -> Vec<Finding> {
    let namespace = &cluster.namespace;
    let mut denied = Vec::new();
    for verb in VERBS {
        match may(cluster, verb).await {
            Ok(true) => {}
            Ok(false) => denied.push(verb),
            Err(error) => return vec![hidden("your rights", &error)],
        }
    }
    if denied.is_empty() {
        return vec![Finding::Good(format!("you may steer Canaries in namespace {namespace}"))];
    }
    let what = format!("you may not {} Canaries in namespace {namespace}", denied.join(", "));
    let todo = "ask for ClusterRole `edit` there, which has it once Serin is installed";
    vec![Finding::Note(what, todo.to_owned())]
}

async fn may(cluster: &Cluster, verb: &str) -> Result<bool, kube::Error> {
    let attributes = ResourceAttributes {
        group: Some(keys::GROUP.to_owned()),
        resource: Some(keys::CANARIES.to_owned()),
        namespace: Some(cluster.namespace.clone()),
        verb: Some(verb.to_owned()),
        ..ResourceAttributes::default()
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let api: Api<SelfSubjectAccessReview> = Api::all(cluster.client.clone());
    let answer = api.create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}
