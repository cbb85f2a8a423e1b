//! The controller in the cluster, as its installer left it there.

use anyhow::{Context, Result};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, LogParams},
};

use crate::{eventually, mesh::Mesh, stage};

/// The Deployment's name in deploy/base.
const NAME: &str = "serin-controller";
/// Which its pods carry.
const PODS: &str = "app.kubernetes.io/name=serin-controller";
/// Which the one that leads carries.
const LEADER: &str = "serin.dev/leader=true";
/// Where its Deployment names the groups that it serves; ours if it does not.
const GROUPS: &str = "SERIN_GROUPS";
/// Lines of its log that may concern one test.
const LINES: i64 = 4_000;

/// Where it is.
pub struct Controller {
    mesh: Mesh,
    /// Its namespace.
    pub namespace: String,
}

impl Controller {
    /// Looks for it in all namespaces.
    pub async fn find(mesh: &Mesh) -> Result<Option<Self>> {
        let all: Api<Deployment> = Api::all(mesh.client.clone());
        let named = ListParams::default().fields(&format!("metadata.name={NAME}"));
        let found = all.list_metadata(&named).await?.items.into_iter().next();
        let namespace = found.and_then(|it| it.namespace());
        Ok(namespace.map(|namespace| Self { mesh: mesh.clone(), namespace }))
    }

    /// Whether it was told to serve Canaries of this group beside ours.
    pub async fn serves(&self, group: &str) -> Result<bool> {
        let deployment: Deployment = self.mesh.api(&self.namespace).get(NAME).await?;
        let pod = deployment.spec.template.spec;
        let env = pod.into_iter().flat_map(|it| it.containers).filter_map(|it| it.env);
        let groups = env.flatten().filter(|it| it.name == GROUPS).find_map(|it| it.value);
        Ok(groups.is_some_and(|it| it.split(',').any(|it| it.trim() == group)))
    }

    /// The pod that leads, once one does.
    pub async fn leader(&self) -> Result<String> {
        eventually("a controller to lead", async || {
            Ok(Some(self.mesh.pod(&self.namespace, LEADER).await?))
        })
        .await
    }

    /// Kills the one that leads, as a lost node would: it does not get to say goodbye.
    pub async fn kill_leader(&self) -> Result<String> {
        let leader = self.leader().await?;
        self.kill(&leader).await?;
        Ok(leader)
    }

    /// Kills all of them.
    pub async fn kill_all(&self) -> Result<()> {
        for pod in self.pods().list_metadata(&ListParams::default().labels(PODS)).await? {
            self.kill(&pod.name_any()).await?;
        }
        Ok(())
    }

    /// Waits until all of its pods are ready.
    pub async fn ready(&self) -> Result<()> {
        stage::ready(&self.mesh, &self.namespace).await
    }

    /// What its pods said last of a namespace.
    pub async fn said_of(&self, namespace: &str) -> String {
        let mut text = format!("what the controllers said of {namespace}:\n");
        let pods = self.pods().list_metadata(&ListParams::default().labels(PODS)).await;
        for pod in pods.into_iter().flatten() {
            let log = self.log(&pod.name_any()).await;
            let log = log.unwrap_or_else(|error| format!("no log: {error:#} {namespace}"));
            for line in log.lines().filter(|line| line.contains(namespace)) {
                text.extend(["    ", line, "\n"]);
            }
        }
        text
    }

    async fn kill(&self, pod: &str) -> Result<()> {
        let at_once = DeleteParams::default().grace_period(0);
        let killed = self.pods().delete(pod, &at_once).await;
        killed.map(drop).with_context(|| format!("{pod} could not be killed"))
    }

    async fn log(&self, pod: &str) -> Result<String> {
        let container = Some("controller".to_owned());
        let last = LogParams { container, tail_lines: Some(LINES), ..LogParams::default() };
        Ok(self.pods().logs(pod, &last).await?)
    }

    fn pods(&self) -> Api<Pod> {
        self.mesh.api(&self.namespace)
    }
}
