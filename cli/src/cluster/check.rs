//! `serin check`: whether this cluster can run releases, and what to do about what is missing. It changes nothing.

mod controller;
mod definitions;
mod istio;
mod reports;
mod rights;

use std::process::ExitCode;

use super::access::{Access, Cluster, refused};
use super::print;
use crate::failure::Failure;
use crate::output::Paint;

/// What was found of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Finding {
    /// It is as it should be.
    Good(String),
    /// It may be meant so.
    Note(String, String),
    /// It is not, and this is what to do.
    Bad(String, String),
}

/// Looks at everything, also behind what is missing.
pub(super) async fn check(access: &Access) -> Result<ExitCode, Failure> {
    let cluster = access.cluster().await?;
    let version = cluster.client.apiserver_version().await.map_err(|error| refused(&error))?;
    let mut findings = vec![Finding::Good(format!("Kubernetes {} answers", version.git_version))];
    findings.extend(istio::look(&cluster).await);
    findings.extend(definitions::look(&cluster).await);
    findings.extend(rights::look(&cluster).await);
    findings.extend(controller::look(&cluster).await);
    findings.extend(reports::look(&cluster).await);
    let paint = Paint::of(&std::io::stdout());
    for finding in &findings {
        print(&shown(finding, paint));
    }
    Ok(if findings.iter().any(|it| matches!(it, Finding::Bad(..))) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn shown(finding: &Finding, paint: Paint) -> String {
    use serin_rollout::Severity::{Error, Warn};
    match finding {
        Finding::Good(what) => format!("{} {what}\n", paint.good("✔")),
        Finding::Note(what, todo) => format!("{} {what}\n    {todo}\n", paint.severity(Warn, "!")),
        Finding::Bad(what, todo) => format!("{} {what}\n    {todo}\n", paint.severity(Error, "✖")),
    }
}

/// What could not be looked at.
fn hidden(what: &str, error: &kube::Error) -> Finding {
    let why = match error {
        kube::Error::Api(status) => status.message.clone(),
        error => error.to_string(),
    };
    Finding::Note(format!("{what} cannot be looked at"), why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_followed_by_what_to_do() {
        let bad = Finding::Bad("no Istio".to_owned(), "install it".to_owned());
        assert_eq!(shown(&bad, Paint::Plain), "✖ no Istio\n    install it\n");
        assert_eq!(shown(&Finding::Good("fine".to_owned()), Paint::Plain), "✔ fine\n");
    }
}
