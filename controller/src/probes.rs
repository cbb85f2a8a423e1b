//! What steps want to know is asked, and whoever listens is told: all of it beside the turns, which wait for nobody. An
//! answer wakes its Canary; one that is lost with the process is asked for again.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1;
use kube::{Api, Client};
use serin_api::release::{self, Secret};
use serin_api::{Canary, Release};
use serin_probe::{Access, Events, Login, Network, Prober, Question};
use serin_rollout::{Answer, Check, Hook, HookKind, Notice, Phase, Probe, Status};

use crate::interests::Key;
use crate::resources::words;
use crate::wake::Wake;

/// For one attempt to tell of an event; Flagger's.
const EVENT_TIMEOUT: Duration = Duration::from_secs(10);

/// What all Canaries ask and tell through.
pub(crate) struct Probes {
    network: Network,
    client: Client,
    wake: Wake,
    /// Told of the events of Canaries that have no event hook of their own.
    everybodys: Option<Hook>,
}

/// What is asked and told about.
#[derive(Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) canary: &'a Canary,
    pub(crate) release: &'a Release,
    /// As it is committed.
    pub(crate) status: &'a Status,
    /// The target's.
    pub(crate) revision: &'a str,
}

/// The questions of one Canary, and the answers that no step has had yet.
#[derive(Default)]
pub(crate) struct Asked {
    asking: Option<(Subject, Prober)>,
    answers: Vec<Answer>,
    events: Option<Events>,
}

/// What questions are about: answers to those about something else are worth nothing.
#[derive(PartialEq)]
struct Subject {
    hooks: Vec<Hook>,
    checks: Vec<Check>,
    access: Vec<Option<release::Access>>,
    revision: String,
}

impl Probes {
    pub(crate) fn new(
        network: Network,
        client: Client,
        wake: Wake,
        event_webhook: Option<&str>,
    ) -> Self {
        let hook = |url: &str| Hook {
            name: "event-webhook".to_owned(),
            kind: HookKind::Event,
            url: url.to_owned(),
            timeout: EVENT_TIMEOUT,
            retries: 0,
            insecure: false,
            metadata: BTreeMap::new(),
        };
        Self { network, client, wake, everybodys: event_webhook.map(hook) }
    }

    /// Asks what is wanted and is not on its way.
    pub(crate) fn ask(&self, asked: &mut Asked, about: About<'_>, wants: &[Probe]) {
        if wants.is_empty() {
            return;
        }
        let release = about.release;
        let (_, prober) = asked.asking.get_or_insert_with(|| {
            let (wake, canary) = (self.wake.clone(), Key::of(about.canary));
            let prober = Prober::waking(move || wake.up(&canary));
            (Subject::of(release, about.revision), prober)
        });
        for probe in wants {
            let question = Question::of(&release.plan, about.checksum(), probe);
            let access = access(release, probe).cloned();
            let (network, client) = (self.network.clone(), self.client.clone());
            prober.ask(probe, async move {
                let question = question.ok_or("the plan has no such check or hook")?;
                let access = complete(&client, access.unwrap_or_default()).await?;
                question.ask(&network, &access).await
            });
        }
    }

    /// Tells who listens what happened.
    pub(crate) fn tell(&self, asked: &mut Asked, about: About<'_>, notices: &[Notice]) {
        if notices.is_empty() {
            return;
        }
        let events = asked.events.get_or_insert_with(|| Events::new(&self.network));
        for notice in notices {
            events.tell(&about.release.plan, self.everybodys.as_ref(), about.checksum(), notice);
        }
    }
}

impl Asked {
    /// Takes in what was answered, unless something else is asked by now.
    pub(crate) fn collect(&mut self, release: &Release, revision: &str) {
        let same = |(subject, _): &(Subject, _)| subject.is(release, revision);
        match &mut self.asking {
            Some(asking) if same(asking) => self.answers.extend(asking.1.take()),
            Some(_) => (self.asking, self.answers) = (None, Vec::new()),
            None => {}
        }
    }

    /// The answers that no step has had yet.
    pub(crate) fn answers(&self) -> &[Answer] {
        &self.answers
    }

    /// A step has had them, and its status is committed.
    pub(crate) fn had(&mut self) {
        self.answers.clear();
    }
}

impl Subject {
    fn of(release: &Release, revision: &str) -> Self {
        Self {
            hooks: release.plan.hooks.clone(),
            checks: release.plan.checks.clone(),
            access: release.access.clone(),
            revision: revision.to_owned(),
        }
    }

    fn is(&self, release: &Release, revision: &str) -> bool {
        self.hooks == release.plan.hooks
            && self.checks == release.plan.checks
            && self.access == release.access
            && self.revision == revision
    }
}

impl About<'_> {
    /// The revision that hooks are told: the one under trial, or that was, until the next is there.
    fn checksum(&self) -> &str {
        match &self.status.run {
            Some(run) if self.status.phase != Phase::Waiting => &run.revision,
            _ => self.revision,
        }
    }
}

fn access<'a>(release: &'a Release, probe: &Probe) -> Option<&'a release::Access> {
    match probe {
        Probe::Check { index, .. } => release.access.get(*index)?.as_ref(),
        Probe::Hook { .. } => None,
    }
}

/// With what the Secret holds now.
async fn complete(client: &Client, access: release::Access) -> Result<Access, String> {
    let login = match &access.secret {
        None => None,
        Some(secret) => Some(login(client, secret).await.map_err(|error| {
            format!("secret {}.{} error: {error}", secret.name, secret.namespace)
        })?),
    };
    Ok(Access { headers: access.headers, login, insecure: access.insecure })
}

async fn login(client: &Client, secret: &Secret) -> Result<Login, String> {
    let api: Api<v1::Secret> = Api::namespaced(client.clone(), &secret.namespace);
    let found = api.get(&secret.name).await.map_err(|error| words(&error))?;
    let data = found.data.unwrap_or_default();
    Login::of(&data.into_iter().map(|(key, value)| (key, value.0)).collect())
}
