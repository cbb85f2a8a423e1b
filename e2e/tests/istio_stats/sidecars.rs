//! A caller's sidecar and that of the called, each an Envoy configured as istiod would: an outbound listener, mutual TLS
//! between the two, an inbound listener before the app; `istio.stats`' stand-in in both, and Istio's tags.

use std::{net::SocketAddr, path::Path};

use anyhow::Result;
use serde_json::{Value, json};
use serin_e2e::{envoy::Envoy, given};
use tempfile::TempDir;

use super::certificates::{Authority, Certificate};
use super::series::{self, Series};

/// Who the caller is.
pub(crate) const CALLER: &str = "spiffe://cluster.local/ns/load/sa/tester";
/// Who is called.
pub(crate) const CALLED: &str = "spiffe://cluster.local/ns/test/sa/podinfo";

const TYPE: &str = "type.googleapis.com/envoy";

/// The running Envoys.
pub(crate) struct Sidecars {
    pub(crate) caller: Envoy,
    pub(crate) called: Envoy,
    /// Where the caller's requests go.
    pub(crate) outbound: SocketAddr,
    _directory: TempDir,
}

impl Sidecars {
    /// Starts them before an app.
    pub(crate) async fn before(app: SocketAddr) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("serin-e2e-").tempdir()?;
        let authority = Authority::new(directory.path())?;
        let tester = authority.sign("tester", CALLER)?;
        let podinfo = authority.sign("podinfo", CALLED)?;

        let node = node("podinfo-v2", "test", &json!({"app": "podinfo", "version": "v2"}));
        let listener = inbound_listener(&authority, &podinfo)?;
        let config = bootstrap(&node, &listener, &json!([workload(app)]));
        let mut server = start(&directory.path().join("called"), &config).await?;
        let inbound = server.listening().await?;

        let node = self::node("tester", "load", &json!({"app": "load"}));
        let clusters = json!([
            service("podinfo", &json!([endpoint(inbound)]), &authority, &tester),
            service("empty", &json!([]), &authority, &tester),
        ]);
        let config = bootstrap(&node, &outbound_listener()?, &clusters);
        let mut client = start(&directory.path().join("caller"), &config).await?;
        let outbound = client.listening().await?;
        Ok(Self { caller: client, called: server, outbound, _directory: directory })
    }

    /// All series of that name, of both.
    pub(crate) async fn series(&self, name: &str) -> Result<Vec<Series>> {
        let mut all = series::all(&self.caller, name).await?;
        all.extend(series::all(&self.called, name).await?);
        Ok(all)
    }
}

async fn start(directory: &Path, bootstrap: &Value) -> Result<Envoy> {
    std::fs::create_dir(directory)?;
    let path = directory.join("bootstrap.json");
    std::fs::write(&path, serde_json::to_vec(bootstrap)?)?;
    Envoy::start(directory, &path, 2).await
}

fn bootstrap(node: &Value, listener: &Value, clusters: &Value) -> Value {
    json!({
        "node": node,
        "admin": {"address": address(([127, 0, 0, 1], 0).into())},
        "stats_config": {"use_all_default_tags": false, "stats_tags": tags()},
        "stats_flush_interval": "0.5s",
        "static_resources": {"listeners": [listener], "clusters": clusters},
    })
}

fn node(workload: &str, namespace: &str, labels: &Value) -> Value {
    json!({"id": workload, "cluster": workload, "metadata": {
        "WORKLOAD_NAME": workload,
        "NAMESPACE": namespace,
        "CLUSTER_ID": "Kubernetes",
        "LABELS": labels,
    }})
}

/// The tags of Istio's bootstrap that could get in each other's way, and ours in the midst as `extraStatTags` are.
fn tags() -> Value {
    let own = include_str!("../../istio-stats/tags.txt").lines();
    let own = own.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut tags = vec![
        ("cluster_name".to_owned(), r"^cluster(\.(.+);)".to_owned()),
        ("response_code".to_owned(), r"_rq(_(\d{3}))$".to_owned()),
        ("response_code_class".to_owned(), r"_rq(_(\dxx))$".to_owned()),
    ];
    tags.extend(own.map(|tag| (tag.to_owned(), format!(r"({tag}=\.=(.*?);\.;)"))));
    for (tag, regex) in [
        ("cache", r"(cache\.(.+?)\.)"),
        ("component", r"(component\.(.+?)\.)"),
        ("tag", r"(tag\.(.+?);\.)"),
        ("wasm_filter", r"(wasm_filter\.(.+?)\.)"),
    ] {
        tags.push((tag.to_owned(), regex.to_owned()));
    }
    tags.into_iter().map(|(tag, regex)| json!({"tag_name": tag, "regex": regex})).collect()
}

fn outbound_listener() -> Result<Value> {
    let to = |cluster: &str| json!({"cluster": host_cluster(cluster), "timeout": "0s"});
    let routes = json!([
        {"match": {"prefix": "/empty"}, "route": to("empty")},
        {"match": {"prefix": "/"}, "route": to("podinfo")},
    ]);
    Ok(json!({
        "name": "outbound",
        "address": address(([127, 0, 0, 1], 0).into()),
        "traffic_direction": "OUTBOUND",
        "filter_chains": [{"filters": [manager("outbound", &routes)?]}],
    }))
}

fn inbound_listener(authority: &Authority, certificate: &Certificate) -> Result<Value> {
    let routes = json!([{"match": {"prefix": "/"}, "route": {"cluster": "inbound|8080||", "timeout": "0s"}}]);
    Ok(json!({
        "name": "virtualInbound",
        "address": address(([127, 0, 0, 1], 0).into()),
        "traffic_direction": "INBOUND",
        "filter_chains": [{
            "filters": [manager("inbound", &routes)?],
            "transport_socket": {"name": "tls", "typed_config": {
                "@type": format!("{TYPE}.extensions.transport_sockets.tls.v3.DownstreamTlsContext"),
                "common_tls_context": tls(authority, certificate),
                "require_client_certificate": true,
            }},
        }],
    }))
}

fn manager(name: &str, routes: &Value) -> Result<Value> {
    let plugin = json!({
        "@type": format!("{TYPE}.extensions.filters.http.wasm.v3.Wasm"),
        "config": {
            "name": format!("istio-stats-{name}"),
            "root_id": "istio-stats",
            "failure_policy": "FAIL_OPEN",
            "vm_config": {
                "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": given("SERIN_ISTIO_STATS")?}},
            },
        },
    });
    Ok(json!({"name": "http", "typed_config": {
        "@type": format!("{TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": name,
        "route_config": {"virtual_hosts": [{"name": "any", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            {"name": "istio-stats", "typed_config": plugin},
            {"name": "router", "typed_config": {
                "@type": format!("{TYPE}.extensions.filters.http.router.v3.Router"),
            }},
        ],
    }}))
}

/// A service's cluster, as a caller's sidecar has it.
fn service(name: &str, endpoints: &Value, authority: &Authority, caller: &Certificate) -> Value {
    let host = format!("{name}.test.svc.cluster.local");
    json!({
        "name": host_cluster(name),
        "type": "STATIC",
        "metadata": services(&host, name),
        "load_assignment": {
            "cluster_name": host_cluster(name),
            "endpoints": [{"lb_endpoints": endpoints}],
        },
        "transport_socket": {"name": "tls", "typed_config": {
            "@type": format!("{TYPE}.extensions.transport_sockets.tls.v3.UpstreamTlsContext"),
            "common_tls_context": tls(authority, caller),
        }},
    })
}

/// The app's cluster, as the called sidecar has it.
fn workload(app: SocketAddr) -> Value {
    let endpoint = json!({"endpoint": {"address": address(app)}});
    json!({
        "name": "inbound|8080||",
        "type": "STATIC",
        "metadata": services("podinfo.test.svc.cluster.local", "podinfo"),
        "load_assignment": {
            "cluster_name": "inbound|8080||",
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
    })
}

fn endpoint(at: SocketAddr) -> Value {
    json!({
        "endpoint": {"address": address(at)},
        "metadata": {"filter_metadata": {"istio": {
            "workload": "podinfo-v2;test;podinfo;v2;Kubernetes",
        }}},
    })
}

fn services(host: &str, name: &str) -> Value {
    let service = json!({"host": host, "name": name, "namespace": "test"});
    json!({"filter_metadata": {"istio": {"services": [service]}}})
}

fn host_cluster(name: &str) -> String {
    format!("outbound|8080||{name}.test.svc.cluster.local")
}

fn tls(authority: &Authority, certificate: &Certificate) -> Value {
    json!({
        "tls_certificates": [{
            "certificate_chain": {"filename": certificate.chain},
            "private_key": {"filename": certificate.key},
        }],
        "validation_context": {"trusted_ca": {"filename": authority.root}},
    })
}

fn address(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip(), "port_value": address.port()}})
}
