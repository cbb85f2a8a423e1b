//! The ports of the three Services.

use serde_json::{Map, Value, json};
use serin_api::canary::Service;

/// Containers whose ports are the mesh's.
const SIDECARS: [&str; 2] = ["istio-proxy", "envoy"];
/// Characters of a port's name, at most.
const NAME_MAX: usize = 63;

/// The port that the author named, and, if asked for, those of the template's other containers.
pub(super) fn ports(service: &Service, template: &Value) -> Vec<Value> {
    let mut ports = vec![main_port(service)];
    if service.port_discovery {
        ports.extend(discovered(service, template));
    }
    ports
}

fn main_port(service: &Service) -> Value {
    let mut port = Map::new();
    let name = service.port_name.as_deref().unwrap_or("http");
    port.insert("name".to_owned(), name.into());
    port.insert("port".to_owned(), service.port.into());
    port.insert("protocol".to_owned(), "TCP".into());
    let target = service.target_port.as_ref().map_or(json!(service.port), |port| json!(port));
    port.insert("targetPort".to_owned(), target);
    if let Some(protocol) = &service.app_protocol {
        port.insert("appProtocol".to_owned(), protocol.as_str().into());
    }
    Value::Object(port)
}

fn discovered(service: &Service, template: &Value) -> Vec<Value> {
    let main = service.target_port.as_ref().map_or(json!(service.port), |port| json!(port));
    let mut found: Vec<Value> = Vec::new();
    for container in template["spec"]["containers"].as_array().into_iter().flatten() {
        let owner = container["name"].as_str().unwrap_or_default();
        if SIDECARS.contains(&owner) {
            continue;
        }
        for (index, port) in container["ports"].as_array().into_iter().flatten().enumerate() {
            let number = &port["containerPort"];
            // The author's own, by number or by name; and a Service's ports must differ.
            let known = *number == main
                || port["name"] == main
                || *number == json!(service.port)
                || found.iter().any(|it| it["port"] == *number);
            if known {
                continue;
            }
            let name = port["name"].as_str().map_or_else(|| made_up(owner, index), str::to_owned);
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            found.push(json!({
                "name": name, "port": number, "protocol": protocol, "targetPort": number,
            }));
        }
    }
    found
}

/// Istio reads the protocol off the beginning.
fn made_up(container: &str, index: usize) -> String {
    let end = format!("-{index}");
    let room = NAME_MAX.saturating_sub("tcp-".len() + end.len());
    let begin: String = container.chars().take(room).collect();
    format!("tcp-{begin}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

    fn template() -> Value {
        json!({ "spec": { "containers": [
            { "name": "app", "ports": [
                { "containerPort": 9898, "name": "http" },
                { "containerPort": 9999, "name": "grpc" },
                { "containerPort": 9797 },
            ]},
            { "name": "other", "ports": [{ "containerPort": 9797 }, { "containerPort": 53, "protocol": "UDP" }] },
            { "name": "istio-proxy", "ports": [{ "containerPort": 15090 }] },
        ]}})
    }

    fn numbers(service: &Service) -> Vec<i64> {
        ports(service, &template()).iter().map(|port| port["port"].as_i64().unwrap()).collect()
    }

    #[test]
    fn what_the_author_named_comes_first_and_alone_unless_more_are_asked_for() {
        let named =
            Service { port: 80, target_port: Some(IntOrString::Int(9898)), ..Service::default() };
        assert_eq!(
            ports(&named, &template()),
            [json!({"name": "http", "port": 80, "protocol": "TCP", "targetPort": 9898})]
        );
        let all = Service { port_discovery: true, ..named };
        assert_eq!(numbers(&all), [80, 9999, 9797, 53]);
        let by_name = IntOrString::String("grpc".into());
        let all = Service { target_port: Some(by_name), ..all };
        assert_eq!(numbers(&all), [80, 9898, 9797, 53]);
    }

    #[test]
    fn nameless_ports_get_a_name_that_fits() {
        let all = Service { port: 9898, port_discovery: true, ..Service::default() };
        let ports = ports(&all, &template());
        assert_eq!(ports[2]["name"], "tcp-app-2");
        assert_eq!(ports[3]["protocol"], "UDP");
        assert_eq!(made_up(&"x".repeat(80), 12).len(), NAME_MAX);
    }
}
