//! What was told of a Canary: its Events.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::{Api, Client};
use serin_api::{Canary, keys};

/// The Events of a namespace.
pub(super) fn api(client: &Client, canary: &Canary) -> Api<Event> {
    Api::namespaced(client.clone(), canary.namespace())
}

/// Selects those of one Canary. One of its name that was there before is another.
pub(super) fn selector(canary: &Canary) -> String {
    let uid = canary.metadata.uid.as_deref().unwrap_or_default();
    let (kind, name) = (keys::CANARY, canary.name());
    format!("involvedObject.kind={kind},involvedObject.name={name},involvedObject.uid={uid}")
}

/// When it was told.
pub(super) fn at(event: &Event) -> Timestamp {
    let exact = event.event_time.as_ref().map(|time| time.0);
    let seconds = event.last_timestamp.as_ref().or(event.metadata.creation_timestamp.as_ref());
    exact.or(seconds.map(|time| time.0)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Whether it warns.
pub(super) fn warns(event: &Event) -> bool {
    event.type_.as_deref() == Some("Warning")
}

/// What it says.
pub(super) fn text(event: &Event) -> &str {
    event.message.as_deref().unwrap_or_default()
}
