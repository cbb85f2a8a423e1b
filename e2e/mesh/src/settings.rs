//! What the tests are told about the cluster: environment variables, set by `cargo xtask test --tier cluster` or by the
//! person who names a cluster of their own.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serin_cluster::{programs, registry::push_module};
use tokio::task::spawn_blocking;

/// Where images are whose references nobody names.
const HUB: &str = "rig.serin.dev";
/// Flagger's load tester, under its own name.
const LOAD_TESTER: &str = "ghcr.io/fluxcd/flagger-loadtester";

/// Environment variables, with what holds where they are not set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `SERIN_CONTEXT`: the kubeconfig's context; its current one otherwise.
    pub context: Option<String>,
    /// `SERIN_ISTIO_NAMESPACE`: Istio's root namespace, where istiod and the gateway are.
    pub istio_namespace: String,
    /// `SERIN_GATEWAY_LABEL`: `KEY=VALUE`, which the ingress gateway's pods carry.
    pub gateway_label: (String, String),
    /// `SERIN_GATEWAY`: `host:port` of the gateway's plain HTTP; a port is forwarded to its pod otherwise.
    pub gateway: Option<String>,
    /// `SERIN_REGISTRY`: `host:port` of the registry that the tests push to.
    pub registry: Option<String>,
    /// `SERIN_REGISTRY_INSIDE`: the same registry as sidecars reach it; at our own cluster's node if not set.
    pub registry_inside: Option<String>,
    /// `SERIN_REGISTRY_DEPLOYMENT`: `NAMESPACE/NAME` of the registry's Deployment, to be stopped for a while.
    pub registry_deployment: Option<(String, String)>,
    /// `SERIN_MODULE_URL`: the filter, pushed by someone else: `oci://…@sha256:…`.
    pub module_url: Option<String>,
    /// `SERIN_MODULE`: the built filter, to be pushed.
    pub module: Option<PathBuf>,
    /// `SERIN_ISTIO_STATS`: the built stand-in for Istio's telemetry; none where Envoy has the real one.
    pub istio_stats: Option<PathBuf>,
    /// `SERIN_PROMETHEUS`: `host:port` of a Prometheus that scrapes the mesh's pods.
    pub prometheus: Option<String>,
    /// The images of the test apps.
    pub images: Images,
}

/// References of the images that the tests' pods run.
#[derive(Clone, Debug)]
pub struct Images {
    /// `SERIN_IMAGE_FAULTY`
    pub faulty: String,
    /// `SERIN_IMAGE_LOAD`
    pub load: String,
    /// `SERIN_IMAGE_RECEIVER`
    pub receiver: String,
    /// `SERIN_IMAGE_LOAD_TESTER`: Flagger's.
    pub load_tester: String,
}

impl Settings {
    /// Reads them.
    pub fn from_environment() -> Result<Self> {
        let label =
            given("SERIN_GATEWAY_LABEL").unwrap_or_else(|| "istio=ingressgateway".to_owned());
        let label = label.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        let deployment = given("SERIN_REGISTRY_DEPLOYMENT").map(|it| {
            it.split_once('/').map(|(namespace, name)| (namespace.to_owned(), name.to_owned()))
        });
        let image =
            |variable, name: &str| given(variable).unwrap_or_else(|| format!("{HUB}/{name}:1"));
        Ok(Self {
            context: given("SERIN_CONTEXT"),
            istio_namespace: given("SERIN_ISTIO_NAMESPACE")
                .unwrap_or_else(|| "istio-system".to_owned()),
            gateway_label: label.context("SERIN_GATEWAY_LABEL must be KEY=VALUE")?,
            gateway: given("SERIN_GATEWAY"),
            registry: given("SERIN_REGISTRY"),
            registry_inside: given("SERIN_REGISTRY_INSIDE"),
            registry_deployment: deployment
                .map(|it| it.context("SERIN_REGISTRY_DEPLOYMENT must be NAMESPACE/NAME"))
                .transpose()?,
            module_url: given("SERIN_MODULE_URL"),
            module: path("SERIN_MODULE")?,
            istio_stats: path("SERIN_ISTIO_STATS")?,
            prometheus: given("SERIN_PROMETHEUS"),
            images: Images {
                faulty: image("SERIN_IMAGE_FAULTY", "faulty"),
                load: image("SERIN_IMAGE_LOAD", "load"),
                receiver: image("SERIN_IMAGE_RECEIVER", "receiver"),
                load_tester: given("SERIN_IMAGE_LOAD_TESTER")
                    .unwrap_or_else(|| format!("{LOAD_TESTER}:{}", programs::LOAD_TESTER)),
            },
        })
    }

    /// The filter's address in a registry, pushed there first if need be.
    pub async fn filter(&self) -> Result<String> {
        if let Some(url) = &self.module_url {
            if !url.contains("@sha256:") {
                bail!("SERIN_MODULE_URL must name a digest (oci://…@sha256:…), not {url}");
            }
            return Ok(url.clone());
        }
        let module = self.module.as_deref().context(
            "neither SERIN_MODULE_URL nor SERIN_MODULE is set; `cargo xtask test --tier cluster` sets them",
        )?;
        self.push(module).await
    }

    /// Pushes a module to the registry; its address by digest, as sidecars reach it.
    pub async fn push(&self, module: &Path) -> Result<String> {
        let registry = self
            .registry
            .clone()
            .context("SERIN_REGISTRY is not set: where the tests push to and sidecars pull from")?;
        let module = module.to_owned();
        let pushed = spawn_blocking(move || push_module(&registry, &module)).await??;
        let Some(inside) = &self.registry_inside else { return Ok(pushed) };
        let (_, image) = pushed.trim_start_matches("oci://").split_once('/').context("an image")?;
        Ok(format!("oci://{inside}/{image}"))
    }
}

fn given(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

/// Cargo runs tests in their package's directory, people name paths from where they are: so they must be whole.
fn path(variable: &str) -> Result<Option<PathBuf>> {
    let Some(path) = given(variable).map(PathBuf::from) else { return Ok(None) };
    let whole = path.canonicalize();
    whole.map(Some).with_context(|| format!("{variable} names {}", path.display()))
}
