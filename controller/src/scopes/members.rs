//! All Canaries, as far as scopes care: who calls each, and the entry that follows from its committed status.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt as _;
use serin_api::canary::Service;
use serin_api::{Canary, Group};
use serin_rollout::desired;
use serin_route::Rollout;

use super::watched::Watched;
use crate::context::Context;
use crate::flagger::yielded;
use crate::guarded;
use crate::interests::Key;
use crate::plan::plan;
use crate::reconcile::{Stop, committed};
use crate::scope::{Callers, Entrances, Member};

/// All of them.
pub(super) struct Gathered {
    pub(super) members: BTreeMap<Key, Member>,
    /// Namespaces with a Canary of which nothing is known but that it is there. What was written for it stays.
    pub(super) opaque: BTreeSet<String>,
}

/// What is known of each Canary. One that is edited into nonsense stays as it was before.
#[derive(Default)]
pub(super) struct Members(BTreeMap<Key, Understood>);

/// A Canary in one version.
struct Understood {
    uid: Option<String>,
    version: Option<String>,
    apex: String,
    service: Service,
    /// Namespaces of callers beside its own.
    further: Vec<String>,
    rollout: Option<Rollout>,
}

impl Members {
    /// All Canaries of the groups that are served; none while some are not known yet.
    pub(super) async fn gather(
        &mut self,
        context: &Context,
        watched: &Watched,
    ) -> Option<Gathered> {
        let mut gathered = Gathered { members: BTreeMap::new(), opaque: BTreeSet::new() };
        let mut known = std::mem::take(&mut self.0);
        let served = served(context);
        for group in served.iter().flatten() {
            let store = context.store(*group)?;
            store.wait_until_ready().now_or_never()?.ok()?;
            for guarded in store.state() {
                let key = guarded::key(*group, &guarded);
                let former = known.remove(&key);
                let understood = match &guarded.0 {
                    Ok(canary) => understand(context, canary, former).await,
                    Err(_) => former,
                };
                let Some(understood) = understood else {
                    gathered.opaque.insert(key.namespace);
                    continue;
                };
                gathered.members.insert(key.clone(), member(context, watched, &key, &understood));
                self.0.insert(key, understood);
            }
        }
        served.map(|_| gathered)
    }
}

/// The groups that are served; none while it is not known whether a Flagger runs.
fn served(context: &Context) -> Option<Vec<Group>> {
    let mut served = Vec::new();
    for group in &context.options.groups {
        match yielded(context, *group) {
            None => served.push(*group),
            Some(Stop::Unknown) => return None,
            Some(_) => {}
        }
    }
    Some(served)
}

/// What a Canary means, or meant before somebody edited it into nonsense.
async fn understand(
    context: &Context,
    canary: &Canary,
    former: Option<Understood>,
) -> Option<Understood> {
    let metadata = &canary.metadata;
    let former = former.filter(|it| it.uid == metadata.uid);
    if former.as_ref().is_some_and(|it| it.version == metadata.resource_version) {
        return former;
    }
    let Ok(templates) = context.templates.of(canary).await else { return former };
    let (Ok(release), Ok(status)) = (plan(canary, &templates), committed(canary)) else {
        return former;
    };
    // Its traffic is being given back.
    let rollout = desired(&release.plan, &status).rollout;
    let rollout = rollout.filter(|_| metadata.deletion_timestamp.is_none());
    Some(Understood {
        uid: metadata.uid.clone(),
        version: metadata.resource_version.clone(),
        apex: canary.apex().to_owned(),
        service: release.service,
        further: release.caller_namespaces,
        rollout,
    })
}

fn member(context: &Context, watched: &Watched, canary: &Key, it: &Understood) -> Member {
    let home = canary.namespace.as_str();
    let roots = if it.service.delegation { watched.roots(home, &it.apex) } else { Vec::new() };
    let entrances = Entrances::of(&it.service, &it.apex, home, &roots);
    let gateways = entrances.gateways.iter().filter_map(|name| watched.gateway(name));
    let callers = Callers {
        reach: context.options.reach,
        root_namespace: context.options.installation.root_namespace.clone(),
        gateways: gateways.collect(),
        mesh: entrances.mesh,
        further: it.further.clone(),
    };
    Member { scopes: callers.scopes(home), rollout: it.rollout.clone() }
}
