//! Envoy's configuration as JSON: the bootstrap and the resources that the files hold. Pure: the same input, the same
//! text. The routes are shaped as Istio shapes a `VirtualService`, so that the filter meets the same names.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use serin_route::{Kind, TRACK_HEADER, Track};

use super::Files;

/// The name of the filter, in the listener and in its own resource.
pub const FILTER: &str = "serin";
/// The name of the route table.
pub const ROUTES: &str = "serin";
/// The cluster to which the filter sends its reports.
pub const TELEMETRY: &str = "serin-telemetry";
const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
/// Without rules it lets everything pass.
const ALLOW: &str = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";

/// A service with two versions behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The Canary's apex name.
    pub name: String,
    /// The Canary's namespace.
    pub namespace: String,
    /// The authorities it answers to; `*` is any.
    pub domains: Vec<String>,
    /// Primary's addresses.
    pub primary: Vec<SocketAddr>,
    /// The canary's addresses.
    pub canary: Vec<SocketAddr>,
    /// The nonce that the canary's route matches, while there is such a route.
    pub steering: Option<String>,
    /// Who serves everything else.
    pub default: Track,
}

/// What Envoy is started with; the rest comes from [`Files`].
#[derive(Clone, Copy, Debug)]
pub struct Bootstrap<'a> {
    /// The files that Envoy watches.
    pub files: &'a Files,
    /// Where requests come in; port 0 is any free one.
    pub listen: SocketAddr,
    /// The admin interface's socket.
    pub admin: &'a Path,
    /// `node.id`: the proxy's name in reports.
    pub node: &'a str,
    /// One pair of clusters for each.
    pub services: &'a [Service],
    /// Where reports go.
    pub telemetry: SocketAddr,
}

/// The name of a track's cluster.
pub fn cluster(service: &Service, track: Track) -> String {
    format!("{}.{}-{}", service.name, service.namespace, track_name(track))
}

/// The bootstrap.
pub fn bootstrap(of: &Bootstrap<'_>) -> Value {
    let tracks = [Track::Primary, Track::Canary];
    let mut clusters: Vec<Value> = of
        .services
        .iter()
        .flat_map(|service| tracks.map(|track| upstream(of.files, &cluster(service, track))))
        .collect();
    clusters.push(telemetry(of.telemetry));
    json!({
        "node": { "id": of.node, "cluster": "serin" },
        "admin": { "address": { "pipe": { "path": of.admin, "mode": 0o600 } } },
        "static_resources": { "listeners": [listener(of)], "clusters": clusters },
    })
}

/// The route table: one virtual host for each service, the canary's route above primary's.
pub fn routes(services: &[Service]) -> Value {
    let hosts: Vec<Value> = services.iter().map(virtual_host).collect();
    json!({
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": ROUTES,
        "virtual_hosts": hosts,
        "request_headers_to_remove": [TRACK_HEADER],
    })
}

/// A cluster's addresses.
pub fn endpoints(cluster: &str, addresses: &[SocketAddr]) -> Value {
    let lb_endpoints: Vec<Value> = addresses.iter().map(|at| endpoint(*at)).collect();
    json!({
        "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": cluster,
        "endpoints": [{ "lb_endpoints": lb_endpoints }],
    })
}

/// The filter: the module and its configuration, which is a table's JSON. Whatever goes wrong in it, requests pass.
pub fn filter(module: &Path, configuration: &str) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": FILTER,
        "typed_config": {
            "@type": WASM,
            "config": {
                "name": FILTER,
                "failure_policy": "FAIL_OPEN",
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": configuration,
                },
                "vm_config": {
                    "vm_id": FILTER,
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": { "local": { "filename": module } },
                },
            },
        },
    })
}

fn track_name(track: Track) -> &'static str {
    match track {
        Track::Primary => "primary",
        Track::Canary => "canary",
    }
}

fn listener(of: &Bootstrap<'_>) -> Value {
    json!({
        "name": "ingress",
        "address": socket(of.listen),
        // Two that start at the same moment would share the port, and each its part of the requests.
        "enable_reuse_port": false,
        "filter_chains": [{ "filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": connection_manager(of.files),
        }] }],
    })
}

fn connection_manager(files: &Files) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network\
                  .http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "ingress",
        "use_remote_address": true,
        // A caller's own id is what `userKey: requestId` draws by. So a caller chooses its draw, by trying ids, as it
        // may by any other key of its own; and its id goes on to the upstream.
        "preserve_external_request_id": true,
        "normalize_path": true,
        "server_header_transformation": "PASS_THROUGH",
        "upgrade_configs": [{ "upgrade_type": "websocket" }],
        "rds": { "route_config_name": ROUTES, "config_source": watched(&files.routes()) },
        "http_filters": [
            {
                "name": FILTER,
                "config_discovery": {
                    "config_source": watched(&files.filter()),
                    "type_urls": [WASM, ALLOW],
                    // A module that cannot be loaded would be answered with 500 for everything.
                    "default_config": { "@type": ALLOW },
                },
            },
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
                },
            },
        ],
    })
}

/// A file, and the directory in which a rename announces its next version.
fn watched(file: &Path) -> Value {
    json!({
        "resource_api_version": "V3",
        "path_config_source": { "path": file, "watched_directory": { "path": file.parent() } },
    })
}

/// Endpoints from a file; the protocol is the caller's own, so that gRPC passes. Limits are off as in a mesh: an
/// overflow would be counted as the upstream's failure.
fn upstream(files: &Files, name: &str) -> Value {
    json!({
        "name": name,
        "type": "EDS",
        "connect_timeout": "5s",
        "eds_cluster_config": { "eds_config": watched(&files.endpoints(name)) },
        "circuit_breakers": { "thresholds": [{
            "max_connections": u32::MAX,
            "max_pending_requests": u32::MAX,
            "max_requests": u32::MAX,
            "max_retries": u32::MAX,
        }] },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "use_downstream_protocol_config": {
                    "http_protocol_options": {},
                    "http2_protocol_options": {},
                },
            },
        },
    })
}

fn telemetry(receiver: SocketAddr) -> Value {
    json!({
        "name": TELEMETRY,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": TELEMETRY,
            "endpoints": [{ "lb_endpoints": [endpoint(receiver)] }],
        },
    })
}

fn virtual_host(service: &Service) -> Value {
    let name = |kind| serin_route::route_name(&service.name, &service.namespace, kind);
    let canary = service.steering.as_deref().map(|nonce| {
        json!({
            "name": name(Kind::Canary),
            "match": {
                "prefix": "/",
                "headers": [{ "name": TRACK_HEADER, "string_match": { "exact": nonce } }],
            },
            "route": action(&cluster(service, Track::Canary)),
        })
    });
    let kind = match service.default {
        Track::Primary => Kind::Primary,
        Track::Canary => Kind::Failover,
    };
    let default = json!({
        "name": name(kind),
        "match": { "prefix": "/" },
        "route": action(&cluster(service, service.default)),
    });
    let routes: Vec<Value> = canary.into_iter().chain([default]).collect();
    json!({
        "name": format!("{}.{}", service.name, service.namespace),
        "domains": service.domains,
        "routes": routes,
    })
}

/// As in Istio: no timeout of the proxy's own, and a second try only where the first never reached the application.
fn action(cluster: &str) -> Value {
    json!({
        "cluster": cluster,
        "timeout": "0s",
        "retry_policy": { "retry_on": "connect-failure,refused-stream", "num_retries": 2 },
    })
}

fn endpoint(at: SocketAddr) -> Value {
    json!({ "endpoint": { "address": socket(at) } })
}

fn socket(at: SocketAddr) -> Value {
    json!({ "socket_address": { "address": at.ip().to_string(), "port_value": at.port() } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> Service {
        Service {
            name: "shop".to_owned(),
            namespace: "prod".to_owned(),
            domains: vec!["*".to_owned()],
            primary: vec!["127.0.0.1:9001".parse().unwrap(), "[::1]:9001".parse().unwrap()],
            canary: vec!["127.0.0.1:9002".parse().unwrap()],
            steering: Some("0123456789abcdef".to_owned()),
            default: Track::Primary,
        }
    }

    /// Compares with a file of `golden/`; `SERIN_BLESS=1` writes it instead.
    fn golden(name: &str, rendered: &Value) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
        if std::env::var_os("SERIN_BLESS").is_some() {
            std::fs::write(&file, format!("{rendered:#}\n")).unwrap();
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let expected: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(*rendered, expected, "{}", file.display());
    }

    #[test]
    fn what_envoy_is_told_is_what_it_was_tested_with() {
        let files = Files::new(Path::new("/run/xds"), Path::new("/run/serin.wasm"));
        let bootstrap = bootstrap(&Bootstrap {
            files: &files,
            listen: "127.0.0.1:8080".parse().unwrap(),
            admin: Path::new("/run/admin.sock"),
            node: "local",
            services: &[service()],
            telemetry: "127.0.0.1:4000".parse().unwrap(),
        });
        golden("bootstrap.json", &bootstrap);
        golden("routes.json", &routes(&[service()]));
        golden("endpoints.json", &endpoints("shop.prod-primary", &service().primary));
        golden("filter.json", &filter(Path::new("/run/serin.wasm"), "{}"));
    }

    #[test]
    fn without_steering_there_is_one_route_and_after_a_failed_promotion_it_leads_to_the_canary() {
        let service = Service { steering: None, default: Track::Canary, ..service() };
        let table = routes(&[service]);
        let list = table.pointer("/virtual_hosts/0/routes").and_then(Value::as_array).unwrap();
        assert_eq!(list.len(), 1);
        assert_eq!(list[0]["name"], "serin/shop.prod/failover");
        assert_eq!(list[0]["route"]["cluster"], "shop.prod-canary");
    }
}
