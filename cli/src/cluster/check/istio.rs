//! Istio: is it there, and new enough?

use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::ListParams;

use super::{Cluster, Finding, hidden};

/// The oldest whose Envoy (1.36) the filter is tested on.
const OLDEST: (u32, u32) = (1, 28);

pub(super) async fn look(cluster: &Cluster) -> Vec<Finding> {
    let all: Api<Deployment> = Api::all(cluster.client.clone());
    let found = match all.list(&ListParams::default().labels("app=istiod")).await {
        Ok(found) => found.items,
        Err(error) => return vec![hidden("istiod", &error)],
    };
    if found.is_empty() {
        let todo = "install Istio 1.28 or newer, or point `--context` at a cluster that has it";
        return vec![Finding::Bad("no istiod runs here".to_owned(), todo.to_owned())];
    }
    found.iter().map(judged).collect()
}

fn judged(istiod: &Deployment) -> Finding {
    let namespace = istiod.metadata.namespace.as_deref().unwrap_or_default();
    let spec = istiod.spec.template.spec.as_ref();
    let mut images =
        spec.into_iter().flat_map(|it| &it.containers).filter_map(|it| it.image.as_ref());
    let ready = istiod.status.as_ref().and_then(|it| it.available_replicas).unwrap_or(0);
    if ready == 0 {
        let todo = format!("see `kubectl -n {namespace} get pods -l app=istiod`");
        return Finding::Bad(format!("istiod in {namespace} is not available"), todo);
    }
    let oldest = format!("{}.{}", OLDEST.0, OLDEST.1);
    match images.find_map(|image| version(image)) {
        Some(found) if found < OLDEST => Finding::Bad(
            format!("Istio {}.{} in {namespace} is older than {oldest}", found.0, found.1),
            format!("upgrade to {oldest} or newer: the filter is not tested on older Envoys"),
        ),
        Some((major, minor)) => Finding::Good(format!("Istio {major}.{minor} in {namespace}")),
        None => Finding::Note(
            format!("the version of istiod in {namespace} is not in its image's tag"),
            format!("it must be {oldest} or newer"),
        ),
    }
}

/// Major and minor of an image's tag: `pilot:1.31.0-distroless`.
fn version(image: &str) -> Option<(u32, u32)> {
    let image = image.split('@').next().unwrap_or(image);
    let (_, tag) = image.rsplit_once(':')?;
    let mut parts = tag.split(['.', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_a_tag() {
        assert_eq!(version("docker.example:5000/pilot:1.31.0-distroless"), Some((1, 31)));
        assert_eq!(version("pilot:1.9-alpha.0"), Some((1, 9)));
        assert_eq!(version("pilot:1.28.1@sha256:00"), Some((1, 28)));
        for none in ["pilot", "pilot:latest", "docker.example:5000/pilot"] {
            assert_eq!(version(none), None, "{none}");
        }
    }
}
