//! Which cluster, by kubectl's conventions.

use std::path::PathBuf;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, Error};

use crate::failure::Failure;

/// Which cluster, and where in it.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Access {
    /// The kubeconfig; else $KUBECONFIG, else ~/.kube/config, else the pod's own account.
    #[arg(long, value_name = "FILE", help_heading = "Which cluster")]
    pub kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context; else its current one.
    #[arg(long, value_name = "NAME", help_heading = "Which cluster")]
    pub context: Option<String>,
    /// The namespace; else the context's.
    #[arg(short, long, value_name = "NAME", help_heading = "Which cluster")]
    pub namespace: Option<String>,
}

/// A cluster that is talked to.
pub(super) struct Cluster {
    pub(super) client: Client,
    pub(super) namespace: String,
}

impl Access {
    /// Talks to nobody yet.
    pub(super) async fn cluster(&self) -> Result<Cluster, Failure> {
        let config = self.config().await?;
        let namespace = self.namespace.as_ref().unwrap_or(&config.default_namespace).clone();
        let client = Client::try_from(config).map_err(|error| no_config(&error))?;
        Ok(Cluster { client, namespace })
    }

    async fn config(&self) -> Result<Config, Failure> {
        if self.kubeconfig.is_none() && self.context.is_none() {
            return Config::infer().await.map_err(|error| no_config(&error));
        }
        let file = match &self.kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        };
        let file = file.map_err(|error| no_config(&error))?;
        let options =
            KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        let config = Config::from_custom_kubeconfig(file, &options).await;
        config.map_err(|error| no_config(&error))
    }
}

fn no_config(error: &dyn std::error::Error) -> Failure {
    Failure::environment(format!(
        "no cluster is configured: {}; name one by --kubeconfig or $KUBECONFIG",
        chain(error)
    ))
}

/// What went wrong, in the API server's words where it has said any.
pub(super) fn refused(error: &Error) -> Failure {
    Failure::environment(match error {
        Error::Api(status) => format!("the cluster refuses: {}", status.message),
        error => format!("the cluster does not answer: {}", chain(error)),
    })
}

/// An error with its causes, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
