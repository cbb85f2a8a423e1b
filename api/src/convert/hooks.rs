//! Webhooks, with Flagger's defaults.

use std::time::Duration;

use serin_rollout::{Hook, HookKind};

use super::numbers::{positive_duration, whole};
use crate::canary::{Webhook, WebhookKind};
use crate::field::Field;
use crate::{Group, Problems};

/// Where no timeout is given; Flagger's.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Beyond it a hook holds its round for minutes.
const RETRIES_MAX: i64 = 100;

/// All hooks, in order.
pub(super) fn hooks(given: &[Webhook], group: Group, problems: &mut Problems) -> Vec<Hook> {
    let field = Field::root("spec.analysis.webhooks");
    let hook = |(index, webhook)| hook(webhook, group, &field.nth(index), problems);
    given.iter().enumerate().map(hook).collect()
}

fn hook(given: &Webhook, group: Group, field: &Field, problems: &mut Problems) -> Hook {
    if given.name.is_empty() {
        problems.add(field.at("name"), "must not be empty");
    }
    web_address(&given.url, &field.at("url"), problems);
    // Flagger takes a text too short for number and unit as none.
    let timeout = given.timeout.as_deref();
    let timeout = timeout.filter(|text| group == Group::Serin || text.len() >= 2);
    let timeout = positive_duration(timeout, &field.at("timeout"), problems).unwrap_or(TIMEOUT);
    let retries = given.retries.unwrap_or(0);
    Hook {
        name: given.name.clone(),
        kind: kind(given.kind.unwrap_or_default()),
        url: given.url.clone(),
        timeout,
        retries: whole(retries, 0..=RETRIES_MAX, &field.at("retries"), problems).unwrap_or(0),
        insecure: given.disable_tls,
        metadata: given.metadata.clone(),
    }
}

/// Reports what is not `http://host…` or `https://host…`.
pub(super) fn web_address(address: &str, field: &Field, problems: &mut Problems) {
    let rest = ["http://", "https://"].iter().find_map(|scheme| address.strip_prefix(scheme));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    let plain = address.chars().all(|c| c.is_ascii_graphic());
    if host.is_empty() || host.starts_with(':') || !plain {
        problems.add(field, format!("must be an http:// or https:// address, not {address:?}"));
    }
}

fn kind(kind: WebhookKind) -> HookKind {
    match kind {
        WebhookKind::Unset | WebhookKind::Rollout => HookKind::Rollout,
        WebhookKind::ConfirmRollout => HookKind::ConfirmRollout,
        WebhookKind::PreRollout => HookKind::PreRollout,
        WebhookKind::ConfirmTrafficIncrease => HookKind::ConfirmTrafficIncrease,
        WebhookKind::ConfirmPromotion => HookKind::ConfirmPromotion,
        WebhookKind::PostRollout => HookKind::PostRollout,
        WebhookKind::Rollback => HookKind::Rollback,
        WebhookKind::Event => HookKind::Event,
    }
}
