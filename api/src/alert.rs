//! `AlertProvider`: where alerts of several Canaries go.

use kube::CustomResource;
use kube::core::ObjectMeta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::grouped::{Wire, namespace, resource};
use crate::rules;
use crate::{Group, SecretRef, keys};

/// Where alerts go; of either group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Wire<AlertProviderSpec>", into = "Wire<AlertProviderSpec>")]
pub struct AlertProvider {
    /// The group it was read from.
    pub group: Group,
    /// Name, namespace and the rest.
    pub metadata: ObjectMeta,
    /// What it speaks, and where it is.
    pub spec: AlertProviderSpec,
}

/// What a provider speaks, and where it is.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "serin.dev",
    version = "v1beta1",
    kind = "AlertProvider",
    root = "Definition",
    plural = "alertproviders",
    shortname = "alp",
    namespaced,
    category = "all",
    doc = "Where alerts of several Canaries go.",
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::alert_provider()))]
pub struct AlertProviderSpec {
    /// What it speaks.
    #[serde(rename = "type")]
    pub kind: AlertProviderKind,
    /// The channel, where the address does not say it; `general`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Who the alerts are from; `flagger`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Where alerts are posted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// A proxy on the way there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// A Secret in the provider's namespace that holds `address`, and `token` where one is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
}

/// What an alert provider speaks.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum AlertProviderKind {
    /// Slack.
    Slack,
    /// Microsoft Teams.
    MsTeams,
    /// Discord.
    Discord,
    /// Rocket.Chat.
    Rocket,
    /// Google Chat.
    GChat,
}

impl AlertProvider {
    /// Its name; empty if it has none.
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// Its namespace, or the default one.
    pub fn namespace(&self) -> &str {
        namespace(&self.metadata)
    }
}

resource!(AlertProvider, keys::ALERT_PROVIDER, keys::ALERT_PROVIDERS);

impl TryFrom<Wire<AlertProviderSpec>> for AlertProvider {
    type Error = String;

    fn try_from(wire: Wire<AlertProviderSpec>) -> Result<Self, String> {
        let (group, metadata, spec) = wire.open(keys::ALERT_PROVIDER)?;
        Ok(Self { group, metadata, spec })
    }
}

impl From<AlertProvider> for Wire<AlertProviderSpec> {
    fn from(provider: AlertProvider) -> Self {
        Self::new(provider.group, keys::ALERT_PROVIDER, provider.metadata, provider.spec)
    }
}
