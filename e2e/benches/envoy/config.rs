//! The Envoy of each chain: the same listener, routes and direct responses, and the request of each case.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Result;
use serde_json::{Value, json};
use serin_e2e::{
    given, modules,
    table::{RECEIVER_CLUSTER, by_user, host, nonce, rollout, table, to_canary, when},
    xds::Plugin,
};
use serin_route::{Kind, Reports, Rollout, Subject, TRACK_HEADER, Test, route_name};

use crate::case::{Case, Chain, Route, TIMES};

/// The body of every answer.
pub(crate) const BODY: &str = "answered";

/// The canary's share in percent: what most steps of most rollouts have.
const PERCENT: u8 = 10;

/// The run whose reports count a route's requests.
pub(crate) fn run_of(route: Route) -> String {
    rollout(route.name(), PERCENT).run
}

/// A request as a browser's might be: a dozen headers, a session cookie, a user.
pub(crate) fn request(case: Case) -> String {
    let host = match case.route {
        Route::Unsteered => "elsewhere.test".to_owned(),
        route => host(route.name()),
    };
    format!(
        "GET /catalogue/items?page=2&sort=price HTTP/1.1\r\n\
         host: {host}\r\n\
         user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
         accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
         accept-language: en-GB,en;q=0.5\r\n\
         accept-encoding: gzip, deflate, br\r\n\
         cookie: theme=dark; session=0123456789abcdef0123456789abcdef; consent=all; locale=en\r\n\
         x-user: user-4711-of-this-shop\r\n\
         x-group: beta\r\n\
         x-request-id: 7b0a2c52-5a4f-4f4e-9a63-0d6d1f6b2c11\r\n\
         x-forwarded-for: 10.1.2.3\r\n\
         x-forwarded-proto: https\r\n\
         dnt: 1\r\n\r\n"
    )
}

/// Writes the bootstrap of a chain and returns where it is.
pub(crate) fn bootstrap(chain: Chain, directory: &Path, receiver: SocketAddr) -> Result<PathBuf> {
    let mut filters = filter(chain, directory)?;
    filters.push(json!({"name": "router", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
    }}));
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "preserve_external_request_id": true,
        "route_config": {"name": "bench", "virtual_hosts": virtual_hosts()},
        "http_filters": filters,
    });
    let loopback =
        |port: u16| json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
    let config = json!({
        "node": {"id": "bench-envoy", "cluster": "bench"},
        "admin": {"address": loopback(0)},
        "static_resources": {
            "listeners": [{
                "name": "bench",
                "address": loopback(0),
                "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
            }],
            "clusters": [{
                "name": RECEIVER_CLUSTER,
                "type": "STATIC",
                "load_assignment": {"cluster_name": RECEIVER_CLUSTER, "endpoints": [
                    {"lb_endpoints": [{"endpoint": {"address": loopback(receiver.port())}}]},
                ]},
            }],
        },
    });
    let path = directory.join("bootstrap.json");
    std::fs::write(&path, serde_json::to_vec(&config)?)?;
    Ok(path)
}

fn filter(chain: Chain, directory: &Path) -> Result<Vec<Value>> {
    let plugin = |bytes: &[u8]| -> Result<Value> {
        let module = directory.join("other.wasm");
        std::fs::write(&module, bytes)?;
        Ok(Plugin { name: "other".to_owned(), module, config: String::new(), vm: String::new() }
            .filter())
    };
    let inline = |name: &str, filter: Value| vec![json!({"name": name, "typed_config": filter})];
    Ok(match chain {
        Chain::Bare => Vec::new(),
        Chain::Empty => inline("empty", plugin(&modules::empty()?)?),
        Chain::Calling(call) => inline("calling", plugin(&modules::calling(call, TIMES)?)?),
        Chain::Lua => inline(
            "lua",
            json!({
                "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
                "default_source_code": {"inline_string": include_str!("lua.lua")},
            }),
        ),
        Chain::Ours => {
            let module = given("SERIN_MODULE")?;
            let config = serde_json::to_string(&our_table())?;
            inline(
                "serin",
                Plugin { name: "serin".to_owned(), module, config, vm: String::new() }.filter(),
            )
        }
    })
}

fn our_table() -> serin_route::Table {
    let of = |route: Route| rollout(route.name(), PERCENT);
    let group = when(Subject::Header("x-group".to_owned()), Test::Exact("beta".to_owned()));
    let mut table = table(&[
        of(Route::Weighted),
        Rollout { keys: by_user(), ..of(Route::Sticky) },
        Rollout { rules: vec![to_canary(vec![group])], ..of(Route::Ruled) },
    ]);
    if let Some(reports) = &mut table.reports {
        reports.period_ms = Reports::PERIOD_MS;
    }
    table
}

fn virtual_hosts() -> Value {
    let any = json!({"prefix": "/"});
    let mut hosts: Vec<Value> = Route::ALL
        .into_iter()
        .filter(|route| *route != Route::Unsteered)
        .map(|route| {
            let name = route.name();
            let canary = json!({
                "prefix": "/",
                "headers": [{"name": TRACK_HEADER, "string_match": {"exact": nonce(name)}}],
            });
            json!({"name": name, "domains": [host(name)], "routes": [
                answer(&route_name(name, "prod", Kind::Canary), &canary),
                answer(&route_name(name, "prod", Kind::Primary), &any),
            ]})
        })
        .collect();
    hosts.push(json!({"name": "others", "domains": ["*"], "routes": [answer("default", &any)]}));
    Value::Array(hosts)
}

fn answer(name: &str, matches: &Value) -> Value {
    json!({
        "name": name,
        "match": matches,
        "request_headers_to_remove": [TRACK_HEADER],
        "direct_response": {"status": 200, "body": {"inline_string": BODY}},
    })
}
