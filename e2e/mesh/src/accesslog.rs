//! What a sidecar wrote of requests that failed, in Istio's own format of access logs.

use std::collections::BTreeMap;

use anyhow::Result;
use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;

use crate::{apply::documents, space::Space};

/// What stands in the place of flags where the answer came from upstream: the called pod's own proxy made it.
pub const UPSTREAM: &str = "-";

/// Has the sidecars of a space log requests that failed, also where the mesh logs nothing.
pub async fn enable(space: &Space) -> Result<()> {
    for object in documents(include_str!("../manifests/failures.yaml"))? {
        space.apply_in(&space.name, object).await?;
    }
    Ok(())
}

/// Failed requests that a pod sent, by Envoy's response flags.
pub async fn failures(space: &Space, pod: &str) -> Result<BTreeMap<String, u64>> {
    let sidecar = LogParams { container: Some("istio-proxy".to_owned()), ..LogParams::default() };
    let log = space.mesh.api::<Pod>(&space.name).logs(pod, &sidecar).await?;
    let mut failures = BTreeMap::new();
    for flags in log.lines().filter_map(flags) {
        *failures.entry(flags.to_owned()).or_default() += 1;
    }
    Ok(failures)
}

/// The flags of an outbound request that failed: `[TIME] "GET / HTTP/1.1" 503 FLAGS DETAILS …`.
fn flags(line: &str) -> Option<&str> {
    let mut quoted = line.strip_prefix('[')?.split('"');
    let mut words = quoted.nth(2)?.split_whitespace();
    let status: u16 = words.next()?.parse().ok()?;
    let flags = words.next()?;
    (status >= 500 && !line.contains(" inbound|")).then_some(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_by_their_flags() {
        let line = |result: &str| {
            format!(
                "[2026-11-25T05:24:22.685Z] \"GET / HTTP/1.1\" {result} 0 91 5 - \"-\" \"-\" \"id\" \
                 \"shop\" \"10.244.0.9:8080\" outbound|80||shop-primary.x.svc.cluster.local - - - -"
            )
        };
        assert_eq!(flags(&line("503 UF,URX details - \"-\"")), Some("UF,URX"));
        assert_eq!(flags(&line("503 - via_upstream - \"-\"")), Some(UPSTREAM));
        assert_eq!(flags(&line("200 - via_upstream - \"-\"")), None);
        assert_eq!(flags("2026-11-25T05:24:22Z\tinfo\tready"), None);
    }
}
