//! A probe with all that is needed to ask it, without the plan.

use std::collections::BTreeMap;

use serin_rollout::{CheckSource, Hook, HookPayload, Phase, Plan, Probe, Value};

use crate::access::Access;
use crate::network::Network;
use crate::{hook, prometheus, url};

/// A probe with all that is needed to ask it.
#[derive(Clone, Debug)]
pub enum Question {
    /// Ask a Prometheus.
    Query {
        /// Its base address.
        address: String,
        /// The query.
        query: String,
    },
    /// Call a webhook.
    Hook {
        /// Which.
        hook: Hook,
        /// What it is told.
        payload: HookPayload,
    },
}

impl Question {
    /// What a probe of a plan means; none if the plan has no such check or hook. `revision` is the one under trial, for
    /// webhooks.
    pub fn of(plan: &Plan, revision: &str, probe: &Probe) -> Option<Self> {
        match probe {
            Probe::Check { index, .. } => match &plan.checks.get(*index)?.source {
                CheckSource::Query { address, query } => {
                    Some(Self::Query { address: address.clone(), query: query.clone() })
                }
                CheckSource::SuccessRate | CheckSource::Duration99 => None,
            },
            Probe::Hook { index, phase, .. } => {
                let hook = plan.hooks.get(*index)?.clone();
                let metadata = hook.metadata.clone();
                let payload = HookPayload { metadata, ..payload(plan, revision, *phase) };
                Some(Self::Hook { hook, payload })
            }
        }
    }

    /// Asks, and answers once. `access` is for a query's provider.
    pub async fn ask(&self, network: &Network, access: &Access) -> Result<Value, String> {
        let transport = &network.questions;
        match self {
            Self::Query { address, query } => {
                prometheus::query(transport, address, query, access).await
            }
            Self::Hook { hook, payload } => {
                hook::call(transport, hook, payload).await.map(|()| Value::Approved)
            }
        }
    }
}

/// The addresses of a plan that nobody can ask, each with the reason.
pub fn unreachable(plan: &Plan) -> Vec<String> {
    let hooks = plan.hooks.iter().map(|hook| (&hook.name, &hook.url));
    let queries = plan.checks.iter().filter_map(|check| match &check.source {
        CheckSource::Query { address, .. } => Some((&check.name, address)),
        CheckSource::SuccessRate | CheckSource::Duration99 => None,
    });
    let problem = |(name, address): (&String, &String)| {
        url::parse(address).err().map(|error| format!("{name}: {error}"))
    };
    hooks.chain(queries).filter_map(problem).collect()
}

/// What every hook is told.
pub(crate) fn payload(plan: &Plan, revision: &str, phase: Phase) -> HookPayload {
    HookPayload {
        name: plan.canary.clone(),
        namespace: plan.namespace.clone(),
        phase,
        checksum: revision.to_owned(),
        metadata: BTreeMap::new(),
    }
}
