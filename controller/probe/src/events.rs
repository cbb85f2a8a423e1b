//! Event hooks: whoever wants to hear of everything that happens to a release. Best effort, in order, and nothing that
//! happens to a release depends on who listens.

use std::collections::BTreeMap;
use std::time::Duration;

use serin_rollout::{Hook, HookKind, HookPayload, Notice, Plan, Severity};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::hook;
use crate::network::{Network, Transport};
use crate::question::payload;

/// Events that wait for one slow listener; what comes then is lost to it.
const WAITING_MAX: usize = 64;

/// Tells the listeners of one release. Dropped, it tells nothing any more.
#[derive(Debug)]
pub struct Events {
    transport: Transport,
    listeners: Vec<(Hook, mpsc::Sender<HookPayload>)>,
    tasks: JoinSet<()>,
}

impl Events {
    /// Nobody listens yet.
    pub fn new(network: &Network) -> Self {
        let transport = network.events.clone();
        Self { transport, listeners: Vec::new(), tasks: JoinSet::new() }
    }

    /// Calls the event hooks of a plan, or else the one for all releases, and waits for nothing.
    pub fn tell(
        &mut self,
        plan: &Plan,
        everybodys: Option<&Hook>,
        revision: &str,
        notice: &Notice,
    ) {
        let own: Vec<&Hook> = plan.hooks.iter().filter(|it| it.kind == HookKind::Event).collect();
        let hooks = if own.is_empty() { everybodys.into_iter().collect() } else { own };
        self.listeners.retain(|(known, _)| hooks.contains(&known));
        while self.tasks.try_join_next().is_some() {}
        for hook in hooks {
            let mut payload = payload(plan, revision, notice.phase);
            payload.metadata.clone_from(&hook.metadata);
            payload.metadata.extend(metadata(notice));
            if self.listener(hook).try_send(payload).is_err() {
                let canary = format!("{}.{}", plan.canary, plan.namespace);
                tracing::warn!(canary, hook = hook.name, "an event is lost: its hook is too slow");
            }
        }
    }

    /// Gives events that are on their way some time to arrive.
    pub async fn finish(mut self, grace: Duration) {
        self.listeners.clear();
        let arrived = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(grace, arrived).await;
    }

    fn listener(&mut self, hook: &Hook) -> &mpsc::Sender<HookPayload> {
        let known = self.listeners.iter().position(|(known, _)| known == hook);
        let index = known.unwrap_or_else(|| {
            let (sender, waiting) = mpsc::channel(WAITING_MAX);
            self.tasks.spawn(serve(self.transport.clone(), hook.clone(), waiting));
            self.listeners.push((hook.clone(), sender));
            self.listeners.len() - 1
        });
        &self.listeners[index].1
    }
}

/// One after the other, so that they arrive in order.
async fn serve(transport: Transport, hook: Hook, mut waiting: mpsc::Receiver<HookPayload>) {
    while let Some(payload) = waiting.recv().await {
        if let Err(error) = hook::call(&transport, &hook, &payload).await {
            let canary = format!("{}.{}", payload.name, payload.namespace);
            tracing::warn!(canary, hook = hook.name, error, "an event is lost");
        }
    }
}

/// What Flagger tells of an event.
fn metadata(notice: &Notice) -> BTreeMap<String, String> {
    let kind = if notice.severity == Severity::Info { "Normal" } else { "Warning" };
    [
        ("eventMessage", notice.message.clone()),
        ("eventType", kind.to_owned()),
        ("timestamp", notice.at.as_millisecond().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
