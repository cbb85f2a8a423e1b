//! The cluster: a client of its API server, and a look at whether it has what the tests need.

use anyhow::{Context, Result, bail};
use k8s_openapi::{
    api::{apps::v1::Deployment, core::v1::Pod},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config,
    api::ListParams,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::{forward::Forward, settings::Settings};

/// What a mesh must know for these tests.
const CRDS: &[&str] = &[
    "gateways.networking.istio.io",
    "peerauthentications.security.istio.io",
    "sidecars.networking.istio.io",
    "virtualservices.networking.istio.io",
    "wasmplugins.extensions.istio.io",
];
/// The ingress gateway's plain HTTP port inside its pod.
const GATEWAY_PORT: u16 = 8080;

/// A cluster with Istio.
#[derive(Clone)]
pub struct Mesh {
    /// Talks to the API server.
    pub client: Client,
    /// What the tests were told.
    pub settings: Settings,
}

impl Mesh {
    /// Connects, and says what is missing.
    pub async fn connect() -> Result<Self> {
        let settings = Settings::from_environment()?;
        let client = client(settings.context.as_deref()).await?;
        let mesh = Self { client, settings };
        mesh.check().await.context("this cluster does not have what the tests need")?;
        Ok(mesh)
    }

    /// Objects of a namespace.
    pub fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// The gateway as seen from here. What is returned beside its address must live as long as it is used.
    pub async fn gateway(&self) -> Result<(std::net::SocketAddr, Option<Forward>)> {
        if let Some(place) = &self.settings.gateway {
            let mut found = tokio::net::lookup_host(place).await.context("SERIN_GATEWAY")?;
            return Ok((found.next().with_context(|| format!("{place} has no address"))?, None));
        }
        let pod = self.gateway_pod().await?;
        let namespace = &self.settings.istio_namespace;
        let forward = Forward::start(&self.client, namespace, &pod, GATEWAY_PORT).await?;
        Ok((forward.address(), Some(forward)))
    }

    /// A pod of the ingress gateway.
    pub async fn gateway_pod(&self) -> Result<String> {
        let (key, value) = &self.settings.gateway_label;
        self.pod(&self.settings.istio_namespace, &format!("{key}={value}")).await
    }

    /// A running pod that carries a label.
    pub async fn pod(&self, namespace: &str, label: &str) -> Result<String> {
        let pods: Api<Pod> = self.api(namespace);
        let found = pods.list(&ListParams::default().labels(label)).await?;
        let running = |pod: &Pod| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            phase == Some("Running") && pod.metadata.deletion_timestamp.is_none()
        };
        let pod = found.items.into_iter().find(running);
        pod.and_then(|pod| pod.metadata.name)
            .with_context(|| format!("no running pod in {namespace} is labelled {label}"))
    }

    /// Whether the cluster has an API, by its group's name.
    pub async fn serves(&self, group: &str) -> Result<bool> {
        let known = self.client.list_api_groups().await?;
        Ok(known.groups.iter().any(|it| it.name == group))
    }

    async fn check(&self) -> Result<()> {
        let crds: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        let known = crds.list_metadata(&ListParams::default()).await;
        let known = known.context("the API server does not answer, or not to us")?;
        for crd in CRDS {
            let is_there = known.items.iter().any(|it| it.metadata.name.as_deref() == Some(*crd));
            if !is_there {
                bail!("there is no {crd}: install Istio 1.28 or newer");
            }
        }
        let namespace = &self.settings.istio_namespace;
        let istiod = self.api::<Deployment>(namespace).get_opt("istiod").await?;
        istiod.with_context(|| {
            format!(
                "there is no Deployment istiod in {namespace}; SERIN_ISTIO_NAMESPACE names another"
            )
        })?;
        self.gateway_pod().await.context("SERIN_GATEWAY_LABEL names the gateway's pods")?;
        Ok(())
    }
}

async fn client(context: Option<&str>) -> Result<Client> {
    let kubeconfig = Kubeconfig::read().context(
        "no kubeconfig: `cargo xtask cluster up` makes a cluster, `cargo xtask cluster env` says where its own is",
    )?;
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..Default::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    Ok(Client::try_from(config.context("the kubeconfig names no such cluster")?)?)
}
