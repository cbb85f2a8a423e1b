//! The program's arguments, each also from the environment.

use clap::{Parser, ValueEnum};
use serin_api::Group;

use crate::run::Options;

/// Releases on Kubernetes and Istio.
///
/// One replica only: it does not elect a leader yet. It reads KUBECONFIG, or in a pod its service account.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Args {
    /// API groups whose Canaries are served; never one that another controller serves
    #[arg(
        long,
        env = "SERIN_GROUPS",
        value_enum,
        value_delimiter = ',',
        default_value = "serin.dev"
    )]
    groups: Vec<GroupName>,
    /// Istio's root namespace
    #[arg(
        long,
        env = "SERIN_ISTIO_ROOT_NAMESPACE",
        default_value = "istio-system",
        value_name = "NAMESPACE"
    )]
    root_namespace: String,
    /// Told of the events of every Canary that has no webhook of type `event`
    #[arg(long, env = "SERIN_EVENT_WEBHOOK", value_name = "URL")]
    event_webhook: Option<String>,
    /// What is logged: a level, or `target=level` several times
    #[arg(long, env = "SERIN_LOG", default_value = "info", value_name = "FILTER")]
    pub log: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum GroupName {
    #[value(name = "serin.dev")]
    Serin,
    #[value(name = "flagger.app")]
    Flagger,
}

impl Args {
    /// What the controller is to do.
    pub fn options(&self) -> Options {
        let group = |name: &GroupName| match name {
            GroupName::Serin => Group::Serin,
            GroupName::Flagger => Group::Flagger,
        };
        Options {
            groups: self.groups.iter().map(group).collect(),
            root_namespace: self.root_namespace.clone(),
            event_webhook: self.event_webhook.clone(),
        }
    }
}
