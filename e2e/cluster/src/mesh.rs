//! What runs in the cluster's pods: DNS, the metrics API, the registry, Prometheus, and Istio with its ingress gateway.
//!
//! An installation that is there is looked at and mended: what somebody deleted or scaled to nothing comes back.

mod istio;
mod ready;

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::{
    access::Access,
    place::Place,
    programs::ISTIO,
    say::{self, Waiting},
};
pub use istio::manifests;

const COREDNS: &str = include_str!("../manifests/coredns.yaml");
const METRICS_SERVER: &str = include_str!("../manifests/metrics-server.yaml");
const REGISTRY: &str = include_str!("../manifests/registry.yaml");
const PROMETHEUS: &str = include_str!("../manifests/prometheus.yaml");

const READY_WITHIN: Duration = Duration::from_mins(3);
const ASKED_EVERY: Duration = Duration::from_millis(500);

/// Installs it, or brings back what is missing.
pub fn install(access: &Access) -> Result<()> {
    say::part("DNS, the metrics API, the registry and Prometheus", || {
        // DNS in front: istiod's gateway waits for a name.
        access.apply(COREDNS)?;
        access.apply(&[METRICS_SERVER, REGISTRY, PROMETHEUS].join("\n---\n"))
    })?;
    let Some(reason) = istio::lacks(access)? else { return Ok(()) };
    let title = format!("installing Istio {ISTIO} ({reason})");
    say::part(&title, || istio::install(access, READY_WITHIN))
}

/// The deployments, as `NAMESPACE/NAME`.
pub(crate) fn deployments() -> impl Iterator<Item = String> {
    ready::DEPLOYMENTS.iter().map(|(namespace, name)| format!("{namespace}/{name}"))
}

/// How a person reads what one of them says.
pub(crate) fn logs(part: &str) -> Option<String> {
    let (namespace, name) = ready::DEPLOYMENTS.iter().find(|(_, name)| *name == part)?;
    Some(format!("kubectl --namespace {namespace} logs deployment/{name}"))
}

/// Waits until all of it is ready; says what is not, now and then and when that takes too long.
pub fn wait(access: &Access, place: &Place) -> Result<()> {
    let deadline = Instant::now() + READY_WITHIN;
    let waiting = Waiting::begin("waiting for what runs in pods");
    loop {
        // An API server that has just come back may still miss an answer.
        let unready = ready::unready(access, place).unwrap_or_else(|error| vec![error.to_string()]);
        if unready.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            let lines = [unready, ready::stuck_pods(access)?].concat().join("\n  ");
            bail!("not ready after {} s:\n  {lines}", READY_WITHIN.as_secs());
        }
        waiting.is_for(format!("waiting for {}", unready.join("; ")));
        thread::sleep(ASKED_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{images, place};

    #[test]
    fn manifests_name_the_addresses_and_images_of_this_crate() {
        assert!(COREDNS.contains(&format!("clusterIP: {}\n", place::DNS_SERVICE)));
        assert!(REGISTRY.contains(&format!("addr: \":{}\"", place::REGISTRY_PORT)));
        assert!(PROMETHEUS.contains(&format!("nodePort: {}}}", place::PROMETHEUS_PORT)));
        assert!(istio::OPERATOR.contains(&format!("nodePort: {}}}", place::GATEWAY_PORT)));
        assert!(istio::OPERATOR.contains(&format!("hub: {}\n  tag: {ISTIO}\n", images::HUB)));
        for manifest in [COREDNS, METRICS_SERVER, REGISTRY, PROMETHEUS] {
            let image = manifest.lines().find_map(|line| line.trim().strip_prefix("image: "));
            assert!(image.expect("an image").starts_with(images::HUB));
        }
    }
}
