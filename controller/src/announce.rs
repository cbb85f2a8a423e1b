//! What happened is told: as Events of the Canary, and in the log. It follows the commit and the writes; a crash may
//! lose it, and a slow API server delays no decision that is made already.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource as _;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use serin_api::{Canary, keys};
use serin_rollout::{Notice, Severity};

use crate::context::Context;

/// Flagger's only reason; its users filter by it.
const REASON: &str = "Synced";
/// Bytes of a note that the API server takes.
const NOTE_BYTES_MAX: usize = 1024;

/// Tells what a step noticed.
pub(crate) async fn announce(context: &Context, canary: &Canary, notices: &[Notice]) {
    for notice in notices {
        let action = format!("{:?}", notice.kind);
        tell(context, canary, notice.severity, &action, &notice.message).await;
    }
}

/// Tells one thing.
pub(crate) async fn tell(
    context: &Context,
    canary: &Canary,
    severity: Severity,
    action: &str,
    message: &str,
) {
    let name = format!("{}.{}", canary.name(), canary.namespace());
    let subject = Subject { name, reference: canary.object_ref(&canary.group) };
    tell_of(context, &subject, severity, action, message).await;
}

/// What something is told of.
pub(crate) struct Subject {
    /// `NAME.NAMESPACE`.
    pub(crate) name: String,
    pub(crate) reference: ObjectReference,
}

/// Tells one thing of what need not be readable.
pub(crate) async fn tell_of(
    context: &Context,
    subject: &Subject,
    severity: Severity,
    action: &str,
    message: &str,
) {
    let name = &subject.name;
    match severity {
        Severity::Info => tracing::info!(canary = name, action, "{message}"),
        Severity::Warn | Severity::Error => tracing::warn!(canary = name, action, "{message}"),
    }
    let type_ = match severity {
        Severity::Info => EventType::Normal,
        Severity::Warn | Severity::Error => EventType::Warning,
    };
    let event = Event {
        type_,
        reason: REASON.to_owned(),
        note: Some(cut(message).to_owned()),
        action: action.to_owned(),
        secondary: None,
    };
    // A recorder of its own for each: one that is kept folds an event into the last with its reason and action, and its
    // words are lost.
    let reporter = Reporter { controller: keys::FIELD_MANAGER.to_owned(), instance: None };
    let recorder = Recorder::new(context.client.clone(), reporter);
    let published = recorder.publish(&event, &subject.reference).await;
    if let Err(error) = published {
        tracing::warn!(canary = name, %error, "an event is lost");
    }
}

fn cut(message: &str) -> &str {
    let mut end = message.len().min(NOTE_BYTES_MAX);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    &message[..end]
}
