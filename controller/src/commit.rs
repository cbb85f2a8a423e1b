//! A decision becomes true by being written into the Canary's status, provided that nobody has written since it was
//! read.

use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Error};
use serde_json::json;
use serin_api::canary::CanaryStatus;
use serin_api::{Canary, keys};

/// Writes a status, if it differs from the one that was read; the Canary's version that followed. The API server
/// refuses it (409) if the Canary has changed.
pub(crate) async fn commit(
    client: &Client,
    canary: &Canary,
    status: CanaryStatus,
) -> Result<Option<String>, Error> {
    if canary.status.as_ref() == Some(&status) {
        return Ok(None);
    }
    let next = Canary { status: Some(status), ..canary.clone() };
    let params =
        PostParams { field_manager: Some(keys::FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let written = api(client, canary).replace_status(canary.name(), &params, &next).await?;
    Ok(written.metadata.resource_version)
}

/// Takes a person's intent off, now that it is in the status of `version`. In a later one it may be another already,
/// which nobody has read: the API server then refuses it (409).
pub(crate) async fn heed(
    client: &Client,
    canary: &Canary,
    version: Option<String>,
) -> Result<(), Error> {
    let version = version.or_else(|| canary.metadata.resource_version.clone());
    let annotations = json!({ keys::INTENT: null });
    let nothing = json!({ "metadata": { "annotations": annotations, "resourceVersion": version } });
    let params = PatchParams {
        field_manager: Some(keys::FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let patched = api(client, canary).patch(canary.name(), &params, &Patch::Merge(nothing)).await;
    patched.map(drop)
}

fn api(client: &Client, canary: &Canary) -> Api<Canary> {
    Api::namespaced_with(client.clone(), canary.namespace(), &canary.group)
}
