//! What is in the cluster, as far as it concerns one Canary. Reads only; each is preceded by an interest, so that what
//! changes after it is read wakes the Canary, and what was read may be kept until then.

use std::sync::Arc;

use futures_util::FutureExt as _;
use kube::api::ListParams;
use kube::core::{DynamicObject, ObjectMeta};
use kube::{Api, Client, Error};
use serde_json::Value;
use serin_api::{Canary, Problems, Release, keys};
use serin_rollout::Status;

use crate::context::{Context, Memory};
use crate::guarded::Guarded;
use crate::history;
use crate::identity::Identity;
use crate::interests::{Key, Subject};
use crate::kind::Kind;
use crate::objects::{
    ObjectRef, Objects, Observed, Reference, primary_revision, references, target_revision,
};
use crate::reconcile::Stop;
use crate::resources;
use crate::scope::{Callers, Entrances, Gateway, delegates};

/// `VirtualService`s of a page, where all of the cluster are read.
const PAGE: u32 = 500;

/// An observation that holds as long as nothing that it is made of has changed.
pub(crate) struct Kept {
    /// What was read follows from these.
    basis: Basis,
    pub(crate) seen: Arc<Observation>,
}

/// What decides what is read, and how many events had concerned the Canary before it was.
#[derive(PartialEq, Eq)]
struct Basis {
    events: u64,
    /// Of the Canary: its spec.
    generation: Option<i64>,
    /// Of its status: earlier revisions of the target are read for these.
    revisions: [Option<String>; 2],
}

impl Basis {
    fn now(context: &Context, canary: &Canary, status: &Status) -> Self {
        Self {
            events: context.interests.events(canary),
            generation: canary.metadata.generation,
            revisions: revisions(status),
        }
    }
}

/// The revisions that primary may have to be restored at.
fn revisions(status: &Status) -> [Option<String>; 2] {
    [status.promoted_revision.clone(), status.run.as_ref().map(|run| run.revision.clone())]
}

/// What was seen.
pub(crate) struct Observation {
    /// All but the template of a revision that the target has left; see [`Self::at`].
    seen: Observed,
    /// The target's history, where primary may run another revision than the target.
    sets: Vec<DynamicObject>,
    /// Who calls.
    pub(crate) callers: Callers,
    /// Gateways that the Canary names and that do not exist.
    pub(crate) missing_gateways: Vec<String>,
    /// What was made for the Canary.
    pub(crate) ours: Vec<(ObjectRef, ObjectMeta)>,
}

impl Observation {
    /// What was seen, for a primary that should run this revision.
    pub(crate) fn at(&self, primary_revision: Option<&str>) -> Observed {
        let wanted = primary_revision.filter(|wanted| *wanted != self.seen.revision);
        let promoted_template =
            wanted.and_then(|wanted| history::template(&self.seen, &self.sets, wanted));
        Observed { promoted_template, ..self.seen.clone() }
    }

    /// The target's revision.
    pub(crate) fn revision(&self) -> &str {
        &self.seen.revision
    }

    /// What of ours was there, with its metadata.
    pub(crate) fn of_ours(&self, object: &ObjectRef) -> Option<&ObjectMeta> {
        self.ours.iter().find(|(it, _)| it == object).map(|(_, metadata)| metadata)
    }

    /// The metadata of what was there, ours or adopted.
    pub(crate) fn metadata(&self, object: &ObjectRef) -> Option<&ObjectMeta> {
        let adopted = [&self.seen.apex, &self.seen.virtual_service].into_iter().flatten();
        let mut adopted = adopted.filter(|it| ObjectRef::of(it).as_ref() == Some(object));
        self.of_ours(object).or_else(|| adopted.next().map(|it| &it.metadata))
    }
}

/// The Canary as it is now: what woke us may be older than our own last write.
pub(crate) async fn canary(client: &Client, key: &Key) -> Result<Option<Guarded>, Error> {
    let api: Api<Guarded> = Api::namespaced_with(client.clone(), &key.namespace, &key.group);
    api.get_opt(&key.name).await
}

/// All Canaries of the namespace that read, of every group that is served. From the watches' memory: an older one is
/// known there before a younger one of its group wakes us, and whoever comes later is woken by what we do.
pub(crate) async fn neighbours(context: &Context, canary: &Canary) -> Result<Vec<Canary>, Error> {
    let mut all = Vec::new();
    for group in &context.options.groups {
        let store = context.store(*group);
        let ready = store.filter(|it| matches!(it.wait_until_ready().now_or_never(), Some(Ok(()))));
        if let Some(store) = ready {
            let known = store.state();
            let read = known.iter().filter_map(|it| it.0.as_ref().ok());
            // Filtered first: there may be thousands elsewhere.
            all.extend(read.filter(|it| it.namespace() == canary.namespace()).cloned());
            continue;
        }
        let client = context.client.clone();
        let api: Api<Guarded> = Api::namespaced_with(client, canary.namespace(), group);
        let list = api.list(&ListParams::default()).await?;
        all.extend(list.into_iter().filter_map(|it| it.0.ok()));
    }
    Ok(all)
}

/// What was seen last, if it still holds.
///
/// It does if no event has concerned the Canary since before it was read, neither its spec nor the revisions that
/// matter are others, and we have written nothing: whoever writes takes it from the memory. How events cannot be missed
/// stands in [`crate::watches`].
pub(crate) fn kept(
    context: &Context,
    canary: &Canary,
    status: &Status,
    memory: &mut Memory,
) -> Option<Arc<Observation>> {
    let now = Basis::now(context, canary, status);
    let kept = memory.seen.take_if(|kept| kept.basis != now || now.generation.is_none());
    drop(kept);
    memory.seen.as_ref().map(|kept| Arc::clone(&kept.seen))
}

/// What is in the cluster, read anew, and remembered; none without a target.
pub(crate) async fn look(
    context: &Context,
    canary: &Canary,
    release: &Release,
    status: &Status,
    memory: &mut Memory,
) -> Result<Option<Arc<Observation>>, Error> {
    memory.seen = None;
    // Before anything is read: an event that comes while it is makes it void.
    let basis = Basis::now(context, canary, status);
    let seen = observe(context, canary, release, status, memory.primary_replicas).await?;
    let Some(seen) = seen.map(Arc::new) else { return Ok(None) };
    memory.primary_replicas = seen.seen.primary_replicas;
    memory.seen = Some(Kept { basis, seen: Arc::clone(&seen) });
    Ok(Some(seen))
}

async fn observe(
    context: &Context,
    canary: &Canary,
    release: &Release,
    status: &Status,
    primary_replicas: Option<i32>,
) -> Result<Option<Observation>, Error> {
    let reader = Reader { context, canary };
    // Before all that is read of them: what is gone by then is made anew with all that belongs to it.
    let ours = reader.ours().await?;
    let target = &release.target.name;
    let Some(target) = reader.read(Kind::Deployment, target).await? else { return Ok(None) };
    let mut seen = Observed::new(target, Vec::new());
    let referred = references(template(&seen.target));
    reader.configs(&mut seen, referred).await?;
    seen.primary = reader.read(Kind::Deployment, &primary(&release.target.name)).await?;
    seen.primary_replicas = replicas(seen.primary.as_ref()).or(primary_replicas);
    if let Some(autoscaler) = &release.autoscaler {
        seen.autoscaler = reader.read(Kind::Autoscaler, &autoscaler.name).await?;
    }
    seen.apex = reader.read(Kind::Service, canary.apex()).await?;
    seen.virtual_service = reader.read(Kind::VirtualService, canary.apex()).await?;
    seen.revision = target_revision(&seen);
    let sets = reader.history(&mut seen, status).await?;
    let (callers, missing_gateways) = reader.callers(release).await?;
    Ok(Some(Observation { seen, sets, callers, missing_gateways, ours }))
}

/// Whether somebody else's object stands where one of ours should. What we adopt knowingly is not owned.
pub(crate) async fn strangers(
    context: &Context,
    canary: &Canary,
    seen: &Observation,
    objects: &Objects,
) -> Result<(), Stop> {
    let reader = Reader { context, canary };
    let identity = Identity::of(canary);
    let mut problems = Problems::default();
    for object in objects.applied().filter(|it| identity.owns(it)) {
        let Some(wanted) = ObjectRef::of(&object) else { continue };
        context.interests.add(canary, [wanted.clone()]);
        if seen.of_ours(&wanted).is_some() {
            continue;
        }
        let found = reader.read(wanted.kind, &wanted.name).await?;
        // What Flagger made for it has no label of ours, but the Canary as its owner.
        if found.is_some_and(|it| !has_written(&it.metadata) && !identity.owns(&it)) {
            let rule = "exists and was not made for this Canary: rename or delete it";
            problems.add("", format!("{wanted} {rule}"));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Stop::Refused(problems)) }
}

/// Whether we have written an object, even if somebody took its label and its owner off.
pub(crate) fn has_written(metadata: &ObjectMeta) -> bool {
    let managers = metadata.managed_fields.iter().flatten();
    let mut names = managers.map(|it| (it.manager.as_deref(), it.operation.as_deref()));
    names.any(|it| it == (Some(keys::FIELD_MANAGER), Some("Apply")))
}

struct Reader<'a> {
    context: &'a Context,
    canary: &'a Canary,
}

impl Reader<'_> {
    async fn read(&self, kind: Kind, name: &str) -> Result<Option<DynamicObject>, Error> {
        let interest = ObjectRef { kind, name: name.to_owned() };
        self.context.interests.add(self.canary, [interest]);
        let api = resources::api(&self.context.client, kind, self.canary.namespace());
        api.get_opt(name).await
    }

    /// What templates refer to, and its copies, as far as they exist.
    async fn configs(&self, seen: &mut Observed, wanted: Vec<Reference>) -> Result<(), Error> {
        for Reference { kind, name, .. } in wanted {
            let is = |it: &DynamicObject| {
                ObjectRef::of(it) == Some(ObjectRef { kind, name: name.clone() })
            };
            if !seen.configs.iter().any(is) {
                seen.configs.extend(self.read(kind, &name).await?);
                seen.copies.extend(self.read(kind, &primary(&name)).await?);
            }
        }
        Ok(())
    }

    /// The target's `ReplicaSet`s, if primary may have to be restored at a revision that the target has left.
    async fn history(
        &self,
        seen: &mut Observed,
        status: &Status,
    ) -> Result<Vec<DynamicObject>, Error> {
        // They are not watched. A set is made before its Deployment's status tells of it, which is watched; and one
        // that goes while its revision matters is better kept.
        let known = revisions(status);
        let mut known = known.iter().flatten();
        if known.all(|it| *it == seen.revision)
            && primary_revision(seen).is_none_or(|it| it == seen.revision)
        {
            return Ok(Vec::new());
        }
        let api = resources::replica_sets(&self.context.client, self.canary.namespace());
        let all = api.list(&ListParams::default()).await?;
        let sets: Vec<_> =
            all.into_iter().filter(|set| history::is_of(set, &seen.target)).collect();
        let wanted = sets.iter().flat_map(|set| references(template(set))).collect();
        self.configs(seen, wanted).await?;
        Ok(sets)
    }

    async fn callers(&self, release: &Release) -> Result<(Callers, Vec<String>), Error> {
        let (apex, home) = (self.canary.apex(), self.canary.namespace());
        let roots = if release.service.delegation { self.roots(apex).await? } else { Vec::new() };
        let entrances = Entrances::of(&release.service, apex, home, &roots);
        let (mut gateways, mut missing) = (Vec::new(), Vec::new());
        for full in entrances.gateways {
            let (namespace, name) = full.split_once('/').unwrap_or((home, &full));
            let [in_namespace, named] = [namespace, name].map(str::to_owned);
            let kind = resources::GATEWAY.kind;
            let subject = Subject { kind, namespace: in_namespace, name: named };
            self.context.interests.add_subject(self.canary, subject);
            let api = resources::gateways(&self.context.client, namespace);
            match api.get_opt(name).await?.as_ref().and_then(Gateway::of) {
                Some(gateway) => gateways.push(gateway),
                None => missing.push(full),
            }
        }
        let (reach, root_namespace) =
            (self.context.options.reach, self.context.options.installation.root_namespace.clone());
        let mesh = entrances.mesh;
        Ok((Callers { reach, root_namespace, gateways, mesh, ..Callers::default() }, missing))
    }

    /// The `VirtualService`s that delegate to this one, of all namespaces; read in pages, and only they are kept.
    async fn roots(&self, apex: &str) -> Result<Vec<DynamicObject>, Error> {
        let interests = &self.context.interests;
        interests.add_delegate(self.canary, apex);
        let to = (self.canary.namespace().to_owned(), apex.to_owned());
        let api = resources::virtual_services(&self.context.client);
        let mut roots = Vec::new();
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let list = api.list(&page).await?;
            let more = list.metadata.continue_.filter(|token| !token.is_empty());
            roots.extend(list.items.into_iter().filter(|it| delegates(it).contains(&to)));
            let Some(token) = more else { break };
            page = page.continue_token(&token);
        }
        // From now on it also matters that one of them delegates elsewhere. One that did so between the reading and
        // this was an event by its former name alone, and by that it is missed: so whoever is new is read once more.
        let mut read = Vec::new();
        for root in roots {
            let kind = Kind::VirtualService;
            let Some(subject) = Subject::of(kind.name(), &root.metadata) else { continue };
            if interests.add_subject(self.canary, subject.clone()) {
                let api = resources::api(&self.context.client, kind, &subject.namespace);
                read.extend(api.get_opt(&subject.name).await?);
            } else {
                read.push(root);
            }
        }
        Ok(read)
    }

    /// What was made for the Canary, by label and owner.
    async fn ours(&self) -> Result<Vec<(ObjectRef, ObjectMeta)>, Error> {
        let identity = Identity::of(self.canary);
        let labels = identity.labels();
        let pairs: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let labelled = ListParams::default().labels(&pairs.join(","));
        let mut found = Vec::new();
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::WasmPlugin) {
            let api = resources::api(&self.context.client, kind, self.canary.namespace());
            for metadata in api.list_metadata(&labelled).await?.into_iter().map(|it| it.metadata) {
                let mut owners = metadata.owner_references.iter().flatten();
                let owned = owners.any(|owner| owner.uid == identity.uid);
                if let (true, Some(name)) = (owned, metadata.name.clone()) {
                    found.push((ObjectRef { kind, name }, metadata));
                }
            }
        }
        Ok(found)
    }
}

fn template(workload: &DynamicObject) -> &Value {
    &workload.data["spec"]["template"]
}

fn primary(name: &str) -> String {
    format!("{name}{}", keys::PRIMARY_SUFFIX)
}

fn replicas(workload: Option<&DynamicObject>) -> Option<i32> {
    let replicas = workload?.data["spec"]["replicas"].as_i64()?;
    i32::try_from(replicas).ok().filter(|replicas| *replicas > 0)
}
