//! What is in the cluster, as far as it concerns one Canary. Reads only; each is preceded by an interest, so that what
//! changes after it is read wakes the Canary.

use kube::api::ListParams;
use kube::core::{DynamicObject, ObjectMeta};
use kube::{Api, Client, Error};
use serde_json::Value;
use serin_api::{Canary, Problems, Release, keys};
use serin_rollout::Status;

use crate::context::Context;
use crate::history;
use crate::identity::Identity;
use crate::kind::Kind;
use crate::objects::{
    ObjectRef, Objects, Observed, Reference, primary_revision, references, target_revision,
};
use crate::reconcile::Stop;
use crate::resources;
use crate::scope::{Callers, Entrances, Gateway};

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

    /// The replicas of primary, now or when it was last seen.
    pub(crate) fn primary_replicas(&self) -> Option<i32> {
        self.seen.primary_replicas
    }
}

/// The Canary as it is now: what woke us may be older than our own last write.
pub(crate) async fn canary(client: &Client, canary: &Canary) -> Result<Option<Canary>, Error> {
    let api: Api<Canary> = Api::namespaced_with(client.clone(), canary.namespace(), &canary.group);
    api.get_opt(canary.name()).await
}

/// All Canaries of the namespace, of every group that is served.
pub(crate) async fn neighbours(context: &Context, canary: &Canary) -> Result<Vec<Canary>, Error> {
    let mut all = Vec::new();
    for group in &context.options.groups {
        let client = context.client.clone();
        let api: Api<Canary> = Api::namespaced_with(client, canary.namespace(), group);
        all.extend(api.list(&ListParams::default()).await?);
    }
    Ok(all)
}

/// What is in the cluster; none without a target.
pub(crate) async fn observe(
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
        if seen.ours.iter().any(|(it, _)| *it == wanted) {
            continue;
        }
        let found = reader.read(wanted.kind, &wanted.name).await?;
        if found.is_some_and(|found| !has_written(&found.metadata)) {
            let rule = "exists and was not made for this Canary: rename or delete it";
            problems.add("", format!("{wanted} {rule}"));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Stop::Refused(problems)) }
}

/// Whether we have written an object, even if somebody took its label and its owner off.
fn has_written(metadata: &ObjectMeta) -> bool {
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
        let tried = status.run.as_ref().map(|run| &run.revision);
        let mut known = status.promoted_revision.iter().chain(tried);
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
        let entrances = Entrances::of(&release.service, apex, home, &[]);
        let (mut gateways, mut missing) = (Vec::new(), Vec::new());
        for full in entrances.gateways {
            let (namespace, name) = full.split_once('/').unwrap_or((home, &full));
            let api = resources::gateways(&self.context.client, namespace);
            match api.get_opt(name).await?.as_ref().and_then(Gateway::of) {
                Some(gateway) => gateways.push(gateway),
                None => missing.push(full),
            }
        }
        let root_namespace = self.context.options.root_namespace.clone();
        let mesh = entrances.mesh;
        Ok((Callers { root_namespace, gateways, mesh, ..Callers::default() }, missing))
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
