//! The controller: is it there, who leads, where does the filter come from, and where do reports go?

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject};
use serin_api::keys;

use super::{Cluster, Finding, hidden};
use crate::clock::Clock;

const CONTROLLER: &str = "app.kubernetes.io/name=serin-controller";
const MODULE: &str = "SERIN_MODULE";
/// A holder renews every two seconds.
const FRESH_SECONDS: i64 = 20;

pub(super) async fn look(cluster: &Cluster) -> Vec<Finding> {
    let all: Api<Deployment> = Api::all(cluster.client.clone());
    let found = match all.list(&ListParams::default().labels(CONTROLLER)).await {
        Ok(found) => found.items,
        Err(error) => return vec![hidden("the controller", &error)],
    };
    let deployment = match &found[..] {
        [] => {
            let todo = "install it: docs/install.md";
            return vec![Finding::Bad("no controller is installed".to_owned(), todo.to_owned())];
        }
        [one] => one,
        many => return vec![several(many)],
    };
    let namespace = deployment.metadata.namespace.clone().unwrap_or_default();
    let mut findings = vec![available(deployment, &namespace), module(deployment)];
    findings.push(match leading(cluster, &namespace).await {
        Ok(finding) => finding,
        Err(error) => hidden("who leads", &error),
    });
    findings.push(match labelled(cluster, &namespace).await {
        Ok(finding) => finding,
        Err(error) => hidden("where reports go", &error),
    });
    findings.push(match plugins(cluster).await {
        Ok(finding) => finding,
        Err(error) => hidden("the filters' tables", &error),
    });
    findings
}

/// Two installations of `deploy/`: rights are bound to one namespace, that of the last one applied.
fn several(deployments: &[Deployment]) -> Finding {
    let places = deployments.iter().filter_map(|it| it.metadata.namespace.as_deref());
    let places = places.collect::<Vec<_>>().join(" and ");
    let what = format!("{} controllers are installed: in {places}", deployments.len());
    let todo = "one of them has no rights, and each removes the other's tables: keep one \
                (docs/install.md, \"One controller\")";
    Finding::Bad(what, todo.to_owned())
}

fn available(deployment: &Deployment, namespace: &str) -> Finding {
    let status = deployment.status.as_ref();
    let ready = status.and_then(|it| it.ready_replicas).unwrap_or(0);
    let wanted = deployment.spec.replicas.unwrap_or(1);
    let what = format!("controller in {namespace}: {ready} of {wanted} pods ready");
    let todo = format!("see `kubectl -n {namespace} describe pods -l {CONTROLLER}`");
    match ready {
        0 => Finding::Bad(what, todo),
        ready if ready < wanted => Finding::Note(what, todo),
        _ => Finding::Good(what),
    }
}

/// Whether what the proxies are to load is pinned.
fn module(deployment: &Deployment) -> Finding {
    let spec = deployment.spec.template.spec.as_ref();
    let given =
        spec.into_iter().flat_map(|it| &it.containers).flat_map(|it| it.env.iter().flatten());
    let module = given.filter(|it| it.name == MODULE).find_map(|it| it.value.as_deref());
    let todo = format!("set {MODULE} to oci://REGISTRY/NAME@sha256:… (docs/install.md)");
    match module {
        None | Some("") => Finding::Bad("the controller knows no filter".to_owned(), todo),
        Some(url) if url.starts_with("oci://") && url.contains("@sha256:") => {
            Finding::Good(format!("the filter is {url}"))
        }
        Some(url) => Finding::Bad(format!("the filter {url} is not pinned"), todo),
    }
}

async fn leading(cluster: &Cluster, namespace: &str) -> Result<Finding, kube::Error> {
    let leases: Api<Lease> = Api::namespaced(cluster.client.clone(), namespace);
    let lease = leases.get_opt(keys::LEASE).await?;
    let now = Clock::start().now();
    Ok(leader(lease.and_then(|it| it.spec).as_ref(), namespace, now))
}

fn leader(
    lease: Option<&k8s_openapi::api::coordination::v1::LeaseSpec>,
    namespace: &str,
    now: Timestamp,
) -> Finding {
    let holder = lease.and_then(|it| it.holder_identity.as_deref()).filter(|it| !it.is_empty());
    let todo = format!("see `kubectl -n {namespace} logs -l {CONTROLLER} -c controller`");
    let Some(holder) = holder else {
        return Finding::Bad("no controller leads".to_owned(), todo);
    };
    let renewed = lease.and_then(|it| it.renew_time.as_ref()).map(|time| time.0);
    let silent = renewed.map_or(i64::MAX, |then| now.duration_since(then).as_secs());
    if silent > FRESH_SECONDS {
        let what = format!("{holder} led and has been silent for {silent} s");
        return Finding::Bad(what, todo);
    }
    Finding::Good(format!("{holder} leads"))
}

/// The Service of reports selects the leader by its label.
async fn labelled(cluster: &Cluster, namespace: &str) -> Result<Finding, kube::Error> {
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
    let leader = format!("{}=true", keys::LEADER);
    let both = ListParams::default().labels(&format!("{CONTROLLER},{leader}"));
    let found = pods.list_metadata(&both).await?.items;
    let names: Vec<_> = found.into_iter().filter_map(|it| it.metadata.name).collect();
    Ok(match &names[..] {
        [name] => Finding::Good(format!("reports go to {name}")),
        [] => Finding::Bad(
            format!("reports go nowhere: no pod in {namespace} has label {leader}"),
            "the leader puts it on itself: its log says why it could not".to_owned(),
        ),
        many => Finding::Note(
            format!("reports go to {}", many.join(" and ")),
            "one of them has lost the lead a moment ago; look again".to_owned(),
        ),
    })
}

/// The tables that filters read; there are some while Canaries are.
async fn plugins(cluster: &Cluster) -> Result<Finding, kube::Error> {
    let resource = ApiResource {
        group: "extensions.istio.io".to_owned(),
        version: "v1alpha1".to_owned(),
        api_version: "extensions.istio.io/v1alpha1".to_owned(),
        kind: "WasmPlugin".to_owned(),
        plural: "wasmplugins".to_owned(),
    };
    let api: Api<DynamicObject> = Api::all_with(cluster.client.clone(), &resource);
    let ours = format!("{}={}", keys::MANAGED_BY, keys::FIELD_MANAGER);
    let found = api.list_metadata(&ListParams::default().labels(&ours)).await?.items;
    let names = found.into_iter().map(|it| {
        let (name, namespace) = (it.metadata.name, it.metadata.namespace);
        format!("{}.{}", name.unwrap_or_default(), namespace.unwrap_or_default())
    });
    let names: Vec<_> = names.collect();
    Ok(if names.is_empty() {
        let todo = "the first Canary brings one; until then no proxy loads the filter";
        Finding::Note("no filter's table is written yet".to_owned(), todo.to_owned())
    } else {
        Finding::Good(format!("filters' tables: {}", names.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::coordination::v1::LeaseSpec;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
    use serde_json::json;

    use super::*;

    fn deployment(module: &str) -> Deployment {
        let env = json!([{ "name": "SERIN_MODULE", "value": module }]);
        let container = json!({ "name": "controller", "env": env });
        let template = json!({ "spec": { "containers": [container] } });
        let spec = json!({ "replicas": 2, "selector": {}, "template": template });
        serde_json::from_value(json!({ "spec": spec, "status": { "readyReplicas": 1 } })).unwrap()
    }

    #[test]
    fn two_controllers_are_named_by_their_places() {
        let places = ["istio-system", "serin-system"].map(|place| {
            let mut deployment = deployment("");
            deployment.metadata.namespace = Some(place.to_owned());
            deployment
        });
        let Finding::Bad(what, todo) = several(&places) else { panic!("two are one too many") };
        assert_eq!(what, "2 controllers are installed: in istio-system and serin-system");
        assert!(todo.contains("keep one"), "{todo}");
    }

    #[test]
    fn only_a_pinned_filter_is_good() {
        let pinned = format!("oci://registry.example/serin@sha256:{}", "0".repeat(64));
        assert!(matches!(module(&deployment(&pinned)), Finding::Good(_)));
        for other in ["", "oci://registry.example/serin:1"] {
            assert!(matches!(module(&deployment(other)), Finding::Bad(..)), "{other}");
        }
    }

    #[test]
    fn one_of_two_pods_is_worth_a_note() {
        let note = available(&deployment(""), "serin-system");
        assert!(matches!(note, Finding::Note(..)), "{note:?}");
    }

    #[test]
    fn a_leader_must_have_been_heard_of() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let lease = |holder: &str, second| LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            renew_time: Some(MicroTime(at(second))),
            ..LeaseSpec::default()
        };
        let look = |lease: Option<&LeaseSpec>| leader(lease, "serin-system", at(100));
        assert_eq!(look(Some(&lease("a", 98))), Finding::Good("a leads".to_owned()));
        for lease in [lease("a", 70), lease("", 99)] {
            assert!(matches!(look(Some(&lease)), Finding::Bad(..)));
        }
        assert!(matches!(look(None), Finding::Bad(..)));
    }
}
