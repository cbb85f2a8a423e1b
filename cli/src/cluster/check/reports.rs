//! Reports: does each scope of a release that is under way report, and how many of its proxies?

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, PodSpec};
use kube::Api;
use kube::api::ListParams;
use serin_api::Canary;

use super::super::find::{self, Namespaces};
use super::{Cluster, Finding, hidden};

/// The container that is Envoy; since native sidecars it may stand among those that come first.
const PROXY: &str = "istio-proxy";

/// Looks at all Canaries that may be seen.
pub(super) async fn look(cluster: &Cluster) -> Vec<Finding> {
    // What is not installed, or not to be seen, is told of elsewhere.
    let canaries = find::all(cluster, Namespaces::All).await.unwrap_or_default();
    let scopes = scopes(canaries.into_iter().filter_map(|it| find::read(it).ok()));
    if scopes.is_empty() {
        let todo = "reports are expected while a release is under way; look again then";
        return vec![Finding::Note("no release is under way".to_owned(), todo.to_owned())];
    }
    let mut findings = Vec::new();
    for (scope, reporting) in scopes {
        findings.push(match expected(cluster, &scope).await {
            Ok(expected) => judged(&scope, reporting, expected),
            Err(error) => hidden("how many proxies there are", &error),
        });
    }
    findings
}

/// The scopes of releases under way. Of several, the one that hears most is the newest.
fn scopes(canaries: impl Iterator<Item = Canary>) -> BTreeMap<String, i64> {
    let status = canaries.filter_map(|canary| canary.status?.serin);
    let mut scopes = BTreeMap::<String, i64>::new();
    for scope in status.flat_map(|it| it.scopes) {
        let most = scopes.entry(scope.name).or_default();
        *most = scope.reporting.max(*most);
    }
    scopes
}

/// How many proxies a scope has, where its name says whose they are.
async fn expected(cluster: &Cluster, scope: &str) -> Result<Option<usize>, kube::Error> {
    let pods: Api<Pod> = match scope.split_once('/') {
        Some(("namespace", namespace)) => Api::namespaced(cluster.client.clone(), namespace),
        None => Api::all(cluster.client.clone()),
        Some(_) => return Ok(None),
    };
    let running = ListParams::default().fields("status.phase=Running");
    let found = pods.list(&running).await?;
    Ok(Some(
        found.items.iter().filter_map(|pod| pod.spec.as_ref()).filter(|it| has_proxy(it)).count(),
    ))
}

fn has_proxy(spec: &PodSpec) -> bool {
    let first = spec.init_containers.iter().flatten();
    first.chain(&spec.containers).any(|it| it.name == PROXY)
}

fn judged(scope: &str, reporting: i64, expected: Option<usize>) -> Finding {
    let all = expected.map_or(String::new(), |all| format!(" of {all}"));
    let what = format!("scope {scope}: {reporting}{all} proxies report");
    let expected = expected.and_then(|all| i64::try_from(all).ok());
    let log = "unless the release has only just begun, look for `wasm` in the log of a proxy that does not: \
               the module could not be fetched, or the receiver's Service is hidden from it by a Sidecar or a \
               NetworkPolicy (docs/install.md)";
    match expected {
        Some(0) => Finding::Note(
            format!("scope {scope}: no pod there has a proxy"),
            "its pods' requests are not steered: they are served by primary".to_owned(),
        ),
        _ if reporting == 0 => Finding::Bad(what, log.to_owned()),
        Some(all) if reporting < all => Finding::Note(what, log.to_owned()),
        _ => Finding::Good(what),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use serin_rollout::Status;

    use super::*;

    #[test]
    fn silence_is_bad_and_fewer_than_there_are_worth_a_note() {
        assert!(matches!(judged("mesh", 0, None), Finding::Bad(..)));
        assert!(matches!(judged("mesh", 0, Some(1)), Finding::Bad(..)));
        assert!(matches!(judged("mesh", 0, Some(0)), Finding::Note(..)));
        let Finding::Note(what, _) = judged("namespace/a", 3, Some(4)) else { panic!("no note") };
        assert_eq!(what, "scope namespace/a: 3 of 4 proxies report");
        assert!(matches!(judged("namespace/a", 4, Some(4)), Finding::Good(_)));
        assert!(matches!(judged("gateway/edge", 1, None), Finding::Good(_)));
    }

    #[test]
    fn a_proxy_is_a_container_or_a_native_sidecar() {
        let spec = |key: &str, name: &str| {
            let mut spec = json!({ "containers": [{ "name": "app" }] });
            let container = json!({ "name": name });
            match spec[key].as_array_mut() {
                Some(all) => all.push(container),
                None => spec[key] = json!([container]),
            }
            serde_json::from_value::<PodSpec>(spec).unwrap()
        };
        assert!(has_proxy(&spec("initContainers", PROXY)));
        assert!(has_proxy(&spec("containers", PROXY)));
        assert!(!has_proxy(&spec("containers", "other")));
    }

    #[test]
    fn scopes_of_all_releases_are_looked_at_once() {
        let canary = |scopes| {
            let status = json!({ "serin": { "scopes": scopes } });
            let mut canary = super::super::super::view::fixture::view(&Status::default()).canary;
            canary.status = serde_json::from_value(status).unwrap();
            canary
        };
        let one = canary(json!([{ "name": "mesh", "reporting": 2 }, { "name": "gateway/a" }]));
        let other = canary(json!([{ "name": "mesh", "reporting": 3 }]));
        let all = scopes([one, other].into_iter());
        assert_eq!(all, [("gateway/a".to_owned(), 0), ("mesh".to_owned(), 3)].into());
    }
}
