use std::collections::BTreeMap;

use super::*;
use crate::series::tags;

/// Properties by their paths, written with slashes; numbers begin with `#`.
struct Known(BTreeMap<String, String>);

impl Known {
    fn of(lines: &[(&str, &str)]) -> Self {
        Self(lines.iter().map(|(path, value)| ((*path).to_owned(), (*value).to_owned())).collect())
    }

    fn with(mut self, path: &str, value: &str) -> Self {
        self.0.insert(path.to_owned(), value.to_owned());
        self
    }

    fn labels(&self) -> BTreeMap<&'static str, String> {
        let labels = labels(self, &Workload::own(self));
        assert_eq!(
            labels.iter().map(|(tag, _)| *tag).collect::<Vec<_>>(),
            tags().collect::<Vec<_>>()
        );
        labels.into_iter().map(|(tag, value)| (tag, value.into_owned())).collect()
    }
}

impl Properties for Known {
    fn bytes(&self, path: &[&str]) -> Option<Vec<u8>> {
        let value = self.0.get(&path.join("/"))?;
        match value.strip_prefix('#') {
            Some(number) => Some(number.parse::<u64>().expect("a number").to_le_bytes().to_vec()),
            None => Some(value.clone().into_bytes()),
        }
    }
}

fn proxy() -> Known {
    Known::of(&[
        ("xds/node/metadata/WORKLOAD_NAME", "podinfo"),
        ("xds/node/metadata/NAMESPACE", "test"),
        ("xds/node/metadata/LABELS/app", "podinfo"),
        ("xds/node/metadata/CLUSTER_ID", "Kubernetes"),
        ("response/code", "#200"),
        ("response/flags", "#0"),
    ])
}

fn called_proxy() -> Known {
    proxy()
        .with("xds/listener_direction", "#1")
        .with("xds/cluster_name", "inbound|9898||")
        .with("connection/uri_san_peer_certificate", "spiffe://cluster.local/ns/load/sa/tester")
        .with("connection/uri_san_local_certificate", "spiffe://cluster.local/ns/test/sa/podinfo")
}

fn calling_proxy() -> Known {
    proxy()
        .with("xds/listener_direction", "#2")
        .with("xds/cluster_name", "outbound|9898||web-canary.prod.svc.cluster.local")
}

fn check(known: &Known, expected: &[(&str, &str)]) {
    let labels = known.labels();
    for (tag, value) in expected {
        assert_eq!(labels.get(tag).map(String::as_str), Some(*value), "{tag} of {labels:#?}");
    }
}

#[test]
fn a_called_proxy_knows_itself_and_its_callers_certificate() {
    check(
        &called_proxy(),
        &[
            ("reporter", "destination"),
            ("source_workload", "unknown"),
            ("source_workload_namespace", "load"),
            ("source_principal", "spiffe://cluster.local/ns/load/sa/tester"),
            ("source_canonical_revision", "latest"),
            ("destination_workload", "podinfo"),
            ("destination_workload_namespace", "test"),
            ("destination_app", "podinfo"),
            ("destination_version", "unknown"),
            ("destination_service", "podinfo"),
            ("destination_service_namespace", "test"),
            ("destination_cluster", "Kubernetes"),
            ("connection_security_policy", "mutual_tls"),
            ("request_protocol", "http"),
            ("response_code", "200"),
            ("response_flags", "-"),
            ("grpc_response_status", ""),
        ],
    );
}

#[test]
fn a_called_proxy_takes_the_service_from_its_cluster() {
    let services = "xds/cluster_metadata/filter_metadata/istio/services/0";
    let known = called_proxy()
        .with(&format!("{services}/host"), "web.test.svc.cluster.local")
        .with(&format!("{services}/name"), "web")
        .with(&format!("{services}/namespace"), "test");
    let expected = [
        ("destination_service", "web.test.svc.cluster.local"),
        ("destination_service_name", "web"),
        ("destination_canonical_service", "podinfo"),
    ];
    check(&known, &expected);
}

#[test]
fn plain_text_has_no_principals_and_says_none() {
    let mut known = called_proxy();
    known.0.retain(|path, _| !path.starts_with("connection/"));
    let expected = [
        ("source_principal", "unknown"),
        ("source_workload_namespace", "unknown"),
        ("connection_security_policy", "none"),
    ];
    check(&known, &expected);
}

#[test]
fn a_calling_proxy_knows_itself_and_what_istiod_wrote_of_the_endpoint() {
    let host = "xds/upstream_host_metadata/filter_metadata/istio/workload";
    let known = calling_proxy()
        .with(host, "web-v2;prod;web;v2;Kubernetes")
        .with("upstream/uri_san_peer_certificate", "spiffe://cluster.local/ns/prod/sa/web")
        .with("upstream/uri_san_local_certificate", "spiffe://cluster.local/ns/test/sa/podinfo");
    check(
        &known,
        &[
            ("reporter", "source"),
            ("source_workload", "podinfo"),
            ("source_workload_namespace", "test"),
            ("source_principal", "spiffe://cluster.local/ns/test/sa/podinfo"),
            ("destination_workload", "web-v2"),
            ("destination_workload_namespace", "prod"),
            ("destination_app", "unknown"),
            ("destination_canonical_service", "web"),
            ("destination_canonical_revision", "v2"),
            ("destination_principal", "spiffe://cluster.local/ns/prod/sa/web"),
            ("destination_service", "web-canary.prod.svc.cluster.local"),
            ("destination_service_name", "web-canary"),
            ("destination_service_namespace", "prod"),
            ("connection_security_policy", "unknown"),
        ],
    );
}

#[test]
fn without_an_endpoint_only_the_service_is_known() {
    let known = calling_proxy().with("response/code", "#503").with("response/flags", "#2");
    let expected = [
        ("destination_workload", "unknown"),
        ("destination_workload_namespace", "unknown"),
        ("destination_service_name", "web-canary"),
        ("response_code", "503"),
        ("response_flags", "UH"),
    ];
    check(&known, &expected);
}

#[test]
fn what_goes_past_the_mesh_is_named_so() {
    let known = proxy().with("xds/cluster_name", "PassthroughCluster");
    let expected = [
        ("reporter", "source"),
        ("destination_service", "unknown"),
        ("destination_service_name", "PassthroughCluster"),
    ];
    check(&known, &expected);
}

#[test]
fn a_client_that_left_has_no_code() {
    let mut known = calling_proxy().with("response/flags", "#16384");
    known.0.remove("response/code");
    check(&known, &[("response_code", "0"), ("response_flags", "DC")]);
}

#[test]
fn grpc_has_a_status_and_http_none() {
    let known = calling_proxy().with("response/grpc_status", "#14");
    check(&known, &[("request_protocol", "http"), ("grpc_response_status", "")]);
    let known = known.with("request/headers/content-type", "application/grpc+proto");
    check(&known, &[("request_protocol", "grpc"), ("grpc_response_status", "14")]);
}
