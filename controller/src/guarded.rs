//! A Canary that does not read: stored before its definition was as strict as now, or mangled by other means. It alone
//! is refused; a watch that ended at it would leave all others unserved.

use kube::api::{Patch, PatchParams};
use kube::core::{DeserializeGuard, ObjectMeta};
use kube::{Api, Client, Resource as _};
use serde_json::json;
use serin_api::canary::CanaryStatus;
use serin_api::{Canary, Group, Problems, keys};
use serin_rollout::Severity;

use crate::announce::{Subject, tell_of};
use crate::context::Context;
use crate::interests::Key;
use crate::resources::words;

/// A Canary, or what is known of one that does not read.
pub(crate) type Guarded = DeserializeGuard<Canary>;

/// Which Canary it is, readable or not.
pub(crate) fn key(group: Group, guarded: &Guarded) -> Key {
    let ObjectMeta { name, namespace, .. } = guarded.meta();
    let [name, namespace] = [name, namespace].map(|it| it.clone().unwrap_or_default());
    Key { group, namespace, name }
}

/// Says what is wrong with a Canary that does not read: in an event, and in its status where its definition lets us.
/// Once, as long as the same is wrong.
pub(crate) async fn refuse(context: &Context, group: Group, guarded: &Guarded, error: &str) {
    let key = key(group, guarded);
    let mut problems = Problems::default();
    problems.add("", format!("does not read, so nothing is done for it: {error}"));
    let line = problems.to_string();
    if !context.is_news(&key, &line) {
        return;
    }
    record(&context.client, &key, &problems).await;
    let name = format!("{}.{}", key.name, key.namespace);
    let subject = Subject { name, reference: guarded.object_ref(&group) };
    tell_of(context, &subject, Severity::Warn, "Held", &line).await;
}

/// Beside whatever else stands in its status. The API server may refuse that, for the rest of the object is wrong.
async fn record(client: &Client, key: &Key, problems: &Problems) {
    let mut status = CanaryStatus::default();
    status.refuse(problems);
    let problems = status.serin.unwrap_or_default().problems;
    let patch = json!({ "status": { "serin": { "problems": problems } } });
    let manager = Some(keys::FIELD_MANAGER.to_owned());
    let params = PatchParams { field_manager: manager, ..PatchParams::default() };
    let api: Api<Guarded> = Api::namespaced_with(client.clone(), &key.namespace, &key.group);
    if let Err(error) = api.patch_status(&key.name, &params, &Patch::Merge(patch)).await {
        let (canary, error) = (format!("{}.{}", key.name, key.namespace), words(&error));
        tracing::warn!(canary, error, "its status cannot say what is wrong with it");
    }
}
