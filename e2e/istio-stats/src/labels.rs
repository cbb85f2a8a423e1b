//! The labels of one stream that has ended.

use crate::{
    Properties, UNKNOWN, Value, flags,
    node::Workload,
    peer::{endpoint, namespace_of},
};

/// Listeners' direction in Envoy's numbers.
const INBOUND: u64 = 1;
/// Clusters that stand for no service; Istio gives their own names.
const SERVICELESS: [&str; 5] = [
    "BlackHoleCluster",
    "PassthroughCluster",
    "InboundPassthroughCluster",
    "InboundPassthroughClusterIpv4",
    "InboundPassthroughClusterIpv6",
];

/// An end of the stream: the caller's, or that of the workload that was called.
struct End {
    workload: Workload,
    principal: Option<String>,
}

/// The service that was called, by its host's name and its short one.
#[derive(Default)]
struct Service {
    host: Option<String>,
    name: Option<String>,
    namespace: Option<String>,
}

/// All labels in the order of `tags.txt`; `own` is the proxy's workload.
pub fn labels(stream: &impl Properties, own: &Workload) -> Vec<(&'static str, Value)> {
    let is_inbound = stream.number(&["xds", "listener_direction"]) == Some(INBOUND);
    let (reporter, source, destination) = if is_inbound {
        ("destination", caller(stream), called(stream, own))
    } else {
        ("source", calling(stream, own), callee(stream))
    };
    let security = match (is_inbound, &source.principal, &destination.principal) {
        (false, ..) => UNKNOWN,
        (true, Some(_), Some(_)) => "mutual_tls",
        (true, ..) => "none",
    };
    let mut labels = vec![("reporter", reporter.into())];
    labels.extend(of_source(source));
    labels.extend(of_destination(destination, service(stream), is_inbound));
    labels.extend(of_outcome(stream));
    labels.push(("connection_security_policy", security.into()));
    labels
}

/// The caller, seen from the called: its certificate is all that is known.
fn caller(stream: &impl Properties) -> End {
    let principal = stream.text(&["connection", "uri_san_peer_certificate"]);
    End { workload: in_namespace_of(Workload::default(), principal.as_deref()), principal }
}

fn called(stream: &impl Properties, own: &Workload) -> End {
    let principal = stream.text(&["connection", "uri_san_local_certificate"]);
    End { workload: own.clone(), principal }
}

fn calling(stream: &impl Properties, own: &Workload) -> End {
    let principal = stream.text(&["upstream", "uri_san_local_certificate"]);
    End { workload: own.clone(), principal }
}

/// The called, seen from the caller: what istiod wrote of the endpoint, and its certificate.
fn callee(stream: &impl Properties) -> End {
    let path = ["xds", "upstream_host_metadata", "filter_metadata", "istio", "workload"];
    let workload = stream.text(&path).map(|text| endpoint(&text)).unwrap_or_default();
    let principal = stream.text(&["upstream", "uri_san_peer_certificate"]);
    End { workload: in_namespace_of(workload, principal.as_deref()), principal }
}

/// A certificate proves a namespace; what was written only claims one.
fn in_namespace_of(workload: Workload, principal: Option<&str>) -> Workload {
    match principal.and_then(namespace_of) {
        Some(namespace) => Workload { namespace: namespace.to_owned().into(), ..workload },
        None => workload,
    }
}

fn service(stream: &impl Properties) -> Service {
    let cluster = stream.text(&["xds", "cluster_name"]).unwrap_or_default();
    if SERVICELESS.contains(&cluster.as_str()) {
        return Service { name: Some(cluster), ..Service::default() };
    }
    let path = ["xds", "cluster_metadata", "filter_metadata", "istio", "services", "0"];
    let written = |part: &str| stream.text(&[&path[..], &[part]].concat());
    // `outbound|PORT|SUBSET|HOST`
    let host = written("host").or_else(|| {
        let host = cluster.strip_prefix("outbound|")?.rsplit('|').next()?;
        (!host.is_empty()).then(|| host.to_owned())
    });
    let short = || host.as_deref()?.split('.').next().map(str::to_owned);
    let name = written("name").or_else(short);
    let in_cluster = || {
        let (_, behind) = host.as_deref()?.split_once('.')?;
        let (namespace, _) = behind.split_once(".svc.")?;
        Some(namespace.to_owned())
    };
    let namespace = written("namespace").or_else(in_cluster);
    Service { host, name, namespace }
}

fn of_source(source: End) -> [(&'static str, Value); 8] {
    let End { workload, principal } = source;
    [
        ("source_workload", workload.name),
        ("source_workload_namespace", workload.namespace),
        ("source_principal", or_unknown(principal)),
        ("source_app", workload.app),
        ("source_version", workload.version),
        ("source_canonical_service", workload.service),
        ("source_canonical_revision", workload.revision),
        ("source_cluster", workload.cluster),
    ]
}

fn of_destination(
    destination: End,
    service: Service,
    is_inbound: bool,
) -> [(&'static str, Value); 11] {
    let End { workload, principal } = destination;
    // A called proxy may serve a port of no service; its canonical service stands for it. As in Istio, a service's
    // namespace is then the workload's.
    let fallback = if is_inbound { workload.service.clone() } else { UNKNOWN.into() };
    let or_fallback = |known: Option<String>| known.map_or_else(|| fallback.clone(), Value::Owned);
    let service_namespace = match service.namespace {
        Some(namespace) if !is_inbound => namespace.into(),
        _ => workload.namespace.clone(),
    };
    [
        ("destination_workload", workload.name),
        ("destination_workload_namespace", workload.namespace),
        ("destination_principal", or_unknown(principal)),
        ("destination_app", workload.app),
        ("destination_version", workload.version),
        ("destination_service", or_fallback(service.host)),
        ("destination_service_name", or_fallback(service.name)),
        ("destination_service_namespace", service_namespace),
        ("destination_canonical_service", workload.service),
        ("destination_canonical_revision", workload.revision),
        ("destination_cluster", workload.cluster),
    ]
}

fn of_outcome(stream: &impl Properties) -> [(&'static str, Value); 4] {
    let content = stream.text(&["request", "headers", "content-type"]).unwrap_or_default();
    let is_grpc = content == "application/grpc" || content.starts_with("application/grpc+");
    let grpc_status = stream.number(&["response", "grpc_status"]).filter(|_| is_grpc);
    let code = stream.number(&["response", "code"]).unwrap_or(0);
    let flags = stream.number(&["response", "flags"]).unwrap_or(0);
    [
        ("request_protocol", if is_grpc { "grpc" } else { "http" }.into()),
        ("response_code", code.to_string().into()),
        ("grpc_response_status", grpc_status.map(|it| it.to_string()).unwrap_or_default().into()),
        ("response_flags", flags::short(flags).into()),
    ]
}

fn or_unknown(known: Option<String>) -> Value {
    known.map_or(Value::Borrowed(UNKNOWN), Value::Owned)
}

#[cfg(test)]
mod tests;
