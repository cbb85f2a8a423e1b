//! A namespace of one test: made for it, removed after it whatever became of it, and looked at first if it failed.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        LazyLock, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, anyhow, ensure};
use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, PostParams},
};
use serde_json::{Value, json};
use serin_e2e_apps::signals::Signals;

use crate::{apply, company::Company, diagnosis, mesh::Mesh, say};

/// What everything that the tests make carries; its value is the run.
pub const LABEL: &str = "serin.dev/e2e-run";
/// What a test's namespaces carry; its value is the test's, for one test's name may begin as another's.
const TEST_LABEL: &str = "serin.dev/e2e-test";
/// A test that made something this long ago is dead: none lasts half as long, even on a slow machine.
const DEAD_AFTER: SignedDuration = SignedDuration::from_mins(20);

/// A signal came: no other test begins.
static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// This run's name, as a label's value.
static RUN: LazyLock<String> = LazyLock::new(|| {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}", now.as_millis() & 0xff_ffff_ffff)
});

/// What a test relies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reliance {
    /// All parts of the mesh, all the time, or until it is alone.
    Mesh,
    /// Kubernetes only, so it may run while a part of the mesh is away.
    Kubernetes,
}

/// The namespaces of a test.
pub struct Space {
    /// The cluster.
    pub mesh: Mesh,
    /// The namespace; injection is on.
    pub name: String,
    /// For objects beside the gateway, unique to this test and run.
    pub token: String,
    company: Mutex<Option<Company>>,
}

/// Runs a test in a namespace of its own.
pub async fn in_space(
    test: &str,
    reliance: Reliance,
    body: impl AsyncFnOnce(&Space) -> Result<()>,
) -> Result<()> {
    let arrived = Instant::now();
    let company = match reliance {
        Reliance::Mesh => Some(Company::relying().await),
        Reliance::Kubernetes => None,
    };
    ensure!(!IS_INTERRUPTED.load(Ordering::Relaxed), "interrupted before it began");
    let mesh = Mesh::connect().await?;
    sweep(&mesh).await.context("what dead runs left could not be removed")?;
    let token = format!("serin-e2e-{}-{test}", RUN.as_str());
    let space = Space { mesh, name: token.clone(), token, company: Mutex::new(company) };
    space.create(&space.name).await?;
    let began = Instant::now();
    let outcome = space.attempt(body).await;
    if outcome.is_err() {
        say(&diagnosis::of(&space).await);
    }
    let removed = space.remove().await;
    let (waited, took) = (began - arrived, began.elapsed());
    let verdict = if outcome.is_ok() { "passed" } else { "FAILED" };
    say(&format!("{test}: {verdict} in {took:.1?}, after a wait of {waited:.1?}"));
    outcome.and(removed)
}

impl Space {
    /// Applies the objects of a YAML text in this namespace.
    pub async fn apply(&self, yaml: &str) -> Result<()> {
        for object in apply::documents(yaml)? {
            self.apply_in(&self.name, object).await?;
        }
        Ok(())
    }

    /// Applies one object, in whichever namespace; it carries the run's label.
    pub async fn apply_in(&self, namespace: &str, mut object: Value) -> Result<DynamicObject> {
        object["metadata"]["labels"][LABEL] = json!(*RUN);
        apply::apply(&self.mesh.client, namespace, object).await
    }

    /// One more namespace, removed with the first.
    pub async fn another(&self, suffix: &str) -> Result<String> {
        let name = format!("{}-{suffix}", self.name);
        self.create(&name).await?;
        Ok(name)
    }

    /// Does something while no other test relies on the mesh: this test's last act.
    pub async fn alone<T>(&self, act: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
        drop(self.company.lock().unwrap_or_else(PoisonError::into_inner).take());
        let began = Instant::now();
        let _alone = Company::alone().await;
        say(&format!("{}: alone after {:.1?}", self.name, began.elapsed()));
        act().await
    }

    /// Its namespaces' names.
    pub async fn namespaces(&self) -> Result<Vec<String>> {
        let all: Api<Namespace> = Api::all(self.mesh.client.clone());
        let ours = ListParams::default().labels(&format!("{TEST_LABEL}={}", self.token));
        Ok(all.list_metadata(&ours).await?.items.iter().map(ResourceExt::name_any).collect())
    }

    async fn create(&self, name: &str) -> Result<()> {
        let namespace: Namespace = serde_json::from_value(json!({
            "metadata": {"name": name, "labels": {
                LABEL: *RUN,
                TEST_LABEL: self.token,
                "istio-injection": "enabled",
            }},
        }))?;
        let namespaces: Api<Namespace> = Api::all(self.mesh.client.clone());
        let made = namespaces.create(&PostParams::default(), &namespace).await;
        made.map(drop).with_context(|| format!("the namespace {name} could not be made"))
    }

    /// Runs the test to its end: passed, failed, panicked or interrupted.
    async fn attempt(&self, body: impl AsyncFnOnce(&Self) -> Result<()>) -> Result<()> {
        let mut signals = Signals::new()?;
        tokio::select! {
            outcome = AssertUnwindSafe(body(self)).catch_unwind() => {
                outcome.unwrap_or_else(|panic| Err(anyhow!("panicked: {}", message(&*panic))))
            }
            () = signals.next() => {
                IS_INTERRUPTED.store(true, Ordering::Relaxed);
                Err(anyhow!("interrupted"))
            }
        }
    }

    /// Has everything of this test removed. The cluster goes on with it by itself.
    async fn remove(&self) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.mesh.client.clone());
        for namespace in self.namespaces().await? {
            namespaces.delete(&namespace, &DeleteParams::background()).await?;
        }
        let plugins = beside_the_gateway(&self.mesh);
        for plugin in labelled(&plugins).await? {
            if plugin == self.token {
                plugins.delete(&plugin, &DeleteParams::default()).await?;
            }
        }
        Ok(())
    }
}

/// What a panic said.
fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word")
}

/// Removes what runs left that were killed.
async fn sweep(mesh: &Mesh) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(mesh.client.clone());
    for namespace in namespaces.list(&ListParams::default().labels(LABEL)).await? {
        if is_dead(&namespace.metadata) {
            gone(namespaces.delete(&namespace.name_any(), &DeleteParams::background()).await)?;
        }
    }
    let plugins = beside_the_gateway(mesh);
    for plugin in plugins.list(&ListParams::default().labels(LABEL)).await? {
        if is_dead(&plugin.metadata) {
            gone(plugins.delete(&plugin.name_any(), &DeleteParams::default()).await)?;
        }
    }
    Ok(())
}

fn is_dead(meta: &kube::api::ObjectMeta) -> bool {
    let made = meta.creation_timestamp.as_ref();
    let is_old = made.is_some_and(|made| Timestamp::now().duration_since(made.0) > DEAD_AFTER);
    is_old && meta.deletion_timestamp.is_none()
}

/// Another test may have been quicker.
fn gone<T>(outcome: kube::Result<T>) -> Result<()> {
    match outcome {
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
        outcome => Ok(outcome.map(drop)?),
    }
}

fn beside_the_gateway(mesh: &Mesh) -> Api<DynamicObject> {
    let resource = apply::resource("extensions.istio.io/v1alpha1", "WasmPlugin");
    Api::namespaced_with(mesh.client.clone(), &mesh.settings.istio_namespace, &resource)
}

/// Names of this run's objects.
async fn labelled<K>(api: &Api<K>) -> Result<Vec<String>>
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let ours = ListParams::default().labels(&format!("{LABEL}={}", RUN.as_str()));
    Ok(api.list_metadata(&ours).await?.items.iter().map(ResourceExt::name_any).collect())
}
