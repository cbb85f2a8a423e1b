//! Envoy's configuration as this bed needs it: one listener by LDS, routes by RDS, endpoints by EDS and the filter by
//! ECDS, all from files that are replaced in one move.
//!
//! It is written apart from what `serin local` renders, so that each is proof of the other.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Result;
use serde_json::{Value, json};
use serin_route::{Kind, TRACK_HEADER, route_name};

use crate::table::{RECEIVER_CLUSTER, host, nonce};

const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
const RBAC: &str = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";
const HCM: &str = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.\
                   HttpConnectionManager";

/// The routes of one rollout: what its `VirtualService` would say.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// The rollout's name; its namespace is `prod`.
    pub name: String,
    /// The routes' timeout in milliseconds; none without.
    pub timeout_ms: Option<u64>,
    /// How long nothing may happen to a stream, in milliseconds.
    pub idle_ms: Option<u64>,
    /// How long a stream may last, in milliseconds.
    pub longest_ms: Option<u64>,
    /// `retry_on` and the number of retries.
    pub retries: Option<(String, u32)>,
    /// The canary's route is not there, or no more.
    pub withdrawn: bool,
    /// Written before our part of the routes' names, as Istio does when it delegates.
    pub before: String,
    /// Written behind, as Istio does for named matches.
    pub behind: String,
}

/// A module and its configuration, as a `WasmPlugin` would give them.
#[derive(Clone, Debug)]
pub struct Plugin {
    /// Its name, by which a VM tells plugins of one module apart.
    pub name: String,
    /// The module's file.
    pub module: PathBuf,
    /// The filter's configuration.
    pub config: String,
    /// The VM's configuration: another one makes other VMs.
    pub vm: String,
}

/// The filter chain before the router.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Chain {
    /// Nothing.
    #[default]
    Bare,
    /// A filter by ECDS; all requests fail if its first answer is refused.
    Discovered,
    /// A filter by ECDS, with one that lets everything pass until there is an answer that Envoy accepts.
    DiscoveredOrPass,
    /// A filter by ECDS, and that one behind it.
    DiscoveredThen(Value),
}

/// The files of one Envoy.
#[derive(Clone, Debug)]
pub struct Files {
    directory: PathBuf,
}

impl Site {
    /// A site without timeouts and retries.
    pub fn of(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The cluster of a track.
    pub fn cluster(&self, track: &str) -> String {
        format!("{}-{track}", self.name)
    }

    fn route_name(&self, kind: Kind) -> String {
        format!("{}{}{}", self.before, route_name(&self.name, "prod", kind), self.behind)
    }

    fn virtual_hosts(&self) -> Value {
        let canary = json!({
            "prefix": "/",
            "headers": [{"name": TRACK_HEADER, "string_match": {"exact": nonce(&self.name)}}],
        });
        let any = json!({"prefix": "/"});
        let to = |track| json!({"cluster": self.cluster(track)});
        let half = json!({"weighted_clusters": {"clusters": [
            {"name": self.cluster("primary"), "weight": 50},
            {"name": self.cluster("canary"), "weight": 50},
        ]}});
        let route =
            |kind, matches: &Value, action| self.route(&self.route_name(kind), matches, action);
        let own = |part: &str, routes: Value| {
            let host = host(&format!("{}{part}", self.name));
            json!({
                "name": host,
                "domains": [host],
                "routes": routes,
                "include_request_attempt_count": true,
            })
        };
        let mut ours = vec![
            route(Kind::Canary, &canary, to("canary")),
            route(Kind::Primary, &any, to("primary")),
        ];
        if self.withdrawn {
            ours.remove(0);
        }
        json!([
            own("", Value::Array(ours)),
            own("-unscoped", json!([route(Kind::Unscoped, &any, half)])),
            own("-failover", json!([route(Kind::Failover, &any, to("canary"))])),
            own("-primary", json!([self.route("default", &any, to("primary"))])),
            own("-canary", json!([self.route("default", &any, to("canary"))])),
        ])
    }

    fn route(&self, name: &str, matches: &Value, mut action: Value) -> Value {
        action["timeout"] = seconds(self.timeout_ms.unwrap_or(0));
        if let Some(idle_ms) = self.idle_ms {
            action["idle_timeout"] = seconds(idle_ms);
        }
        if let Some(longest_ms) = self.longest_ms {
            action["max_stream_duration"] = json!({"max_stream_duration": seconds(longest_ms)});
        }
        if let Some((on, retries)) = &self.retries {
            action["retry_policy"] = json!({
                "retry_on": on,
                "num_retries": retries,
                "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.01s"},
            });
        }
        json!({
            "name": name,
            "match": matches,
            "route": action,
            "request_headers_to_remove": [TRACK_HEADER],
        })
    }
}

/// A filter that injects the faults that a request's `x-envoy-fault-…` headers ask for.
pub fn faults() -> Value {
    let always = json!({"numerator": 100});
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
        "abort": {"header_abort": {}, "percentage": always},
        "delay": {"header_delay": {}, "percentage": always},
    })
}

impl Plugin {
    /// The filter's configuration in Envoy's words.
    pub fn filter(&self) -> Value {
        let text = |value: &str| json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": value});
        json!({"@type": WASM, "config": {
            "name": self.name,
            "root_id": self.name,
            "failure_policy": "FAIL_OPEN",
            "vm_config": {
                "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": self.module}},
                "configuration": text(&self.vm),
            },
            "configuration": text(&self.config),
        }})
    }
}

impl Files {
    /// Files in a directory.
    pub fn in_directory(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// The bootstrap, which names all clusters.
    pub fn bootstrap(&self, sites: &[Site]) -> Result<PathBuf> {
        let mut clusters: Vec<Value> = Vec::new();
        for site in sites {
            for track in ["primary", "canary"] {
                clusters.push(self.cluster(&site.cluster(track)));
            }
        }
        clusters.push(self.cluster(RECEIVER_CLUSTER));
        self.write(
            "bootstrap.json",
            &json!({
                "node": {
                    "id": "bed-envoy",
                    "cluster": "bed",
                    "metadata": {"NAMESPACE": "callers", "LABELS": {"app": "web", "tier": "front"}},
                },
                "admin": {"address": address("127.0.0.1:0".parse()?)},
                "dynamic_resources": {"lds_config": self.source("lds.json")},
                "static_resources": {"clusters": clusters},
                "stats_config": {"use_all_default_tags": false, "stats_tags": istio_tags()},
            }),
        )
    }

    /// The listener.
    pub fn listener(&self, chain: &Chain) -> Result<()> {
        let mut filters = match chain {
            Chain::Bare => Vec::new(),
            Chain::Discovered => vec![self.discovered(None)],
            Chain::DiscoveredOrPass => {
                vec![self.discovered(Some(json!({"@type": RBAC})))]
            }
            Chain::DiscoveredThen(filter) => {
                vec![self.discovered(None), json!({"name": "second", "typed_config": filter})]
            }
        };
        filters.push(json!({"name": "router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
        }}));
        let manager = json!({
            "@type": HCM,
            "stat_prefix": "bed",
            "rds": {"route_config_name": "bed", "config_source": self.source("rds.json")},
            "http_filters": filters,
            "upgrade_configs": [{"upgrade_type": "websocket"}],
            "preserve_external_request_id": true,
        });
        self.resources(
            "lds.json",
            &[json!({
                "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
                "name": "bed",
                "address": address("127.0.0.1:0".parse()?),
                "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
            })],
        )
    }

    /// The routes of all sites; hosts of none are answered by Envoy itself.
    pub fn routes(&self, sites: &[Site]) -> Result<()> {
        let mut hosts: Vec<Value> = Vec::new();
        for site in sites {
            hosts.extend(site.virtual_hosts().as_array().into_iter().flatten().cloned());
        }
        hosts.push(json!({
            "name": "others",
            "domains": ["*"],
            "routes": [{
                "name": "direct",
                "match": {"prefix": "/"},
                "direct_response": {"status": 200, "body": {"inline_string": "of no rollout\n"}},
            }],
        }));
        self.resources(
            "rds.json",
            &[json!({
                "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
                "name": "bed",
                "virtual_hosts": hosts,
            })],
        )
    }

    /// The endpoints of a cluster.
    pub fn endpoints(&self, cluster: &str, addresses: &[SocketAddr]) -> Result<()> {
        let mut assignment = assignment(cluster, addresses);
        assignment["@type"] =
            json!("type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment");
        self.resources(&format!("eds-{cluster}.json"), &[assignment])
    }

    /// The filter.
    pub fn plugin(&self, plugin: &Plugin) -> Result<()> {
        self.resources(
            "ecds.json",
            &[json!({
                "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
                "name": "serin",
                "typed_config": plugin.filter(),
            })],
        )
    }

    /// Replaces the filter's file by bytes of any kind.
    pub fn raw_plugin(&self, bytes: &[u8]) -> Result<()> {
        self.replace("ecds.json", bytes).map(drop)
    }

    fn discovered(&self, default: Option<Value>) -> Value {
        let mut discovery = json!({
            "config_source": self.source("ecds.json"),
            "type_urls": [WASM, RBAC],
        });
        // As Istio asks: whoever has no answer yet waits for it.
        discovery["config_source"]["initial_fetch_timeout"] = json!("0s");
        if let Some(default) = default {
            discovery["default_config"] = default;
        }
        json!({"name": "serin", "config_discovery": discovery})
    }

    fn cluster(&self, name: &str) -> Value {
        let options = json!({
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "use_downstream_protocol_config": {
                "http_protocol_options": {},
                "http2_protocol_options": {},
            },
        });
        json!({
            "name": name,
            "type": "EDS",
            "connect_timeout": "1s",
            "eds_cluster_config": {"eds_config": self.source(&format!("eds-{name}.json"))},
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options,
            },
        })
    }

    fn source(&self, name: &str) -> Value {
        json!({
            "path_config_source": {"path": self.directory.join(name)},
            "resource_api_version": "V3",
        })
    }

    fn resources(&self, name: &str, resources: &[Value]) -> Result<()> {
        self.write(name, &json!({"resources": resources})).map(drop)
    }

    fn write(&self, name: &str, value: &Value) -> Result<PathBuf> {
        self.replace(name, &serde_json::to_vec(value)?)
    }

    /// Envoy looks when a file is moved to the watched name, so it never reads half of one.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.directory.join(name);
        let new = self.directory.join(format!("{name}.new"));
        std::fs::write(&new, bytes)?;
        std::fs::rename(&new, &path)?;
        Ok(path)
    }
}

/// The tags of Istio's bootstrap that the names of the filter's statistics are made for.
fn istio_tags() -> Vec<Value> {
    [
        ("wasm_filter", r"(wasm_filter\.(.+?)\.)"),
        ("cache", r"(cache\.(.+?)\.)"),
        ("component", r"(component\.(.+?)\.)"),
        ("tag", r"(tag\.(.+?);\.)"),
    ]
    .map(|(name, regex)| json!({"tag_name": name, "regex": regex}))
    .to_vec()
}

fn seconds(milliseconds: u64) -> Value {
    json!(format!("{}s", milliseconds as f64 / 1000.0))
}

fn address(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip(), "port_value": address.port()}})
}

fn assignment(cluster: &str, addresses: &[SocketAddr]) -> Value {
    let endpoints: Vec<Value> =
        addresses.iter().map(|it| json!({"endpoint": {"address": address(*it)}})).collect();
    json!({"cluster_name": cluster, "endpoints": [{"lb_endpoints": endpoints}]})
}
