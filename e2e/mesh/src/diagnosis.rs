//! What a reader of a failure wants to know: the pods' states, events, what istiod, sidecars and apps said last.

use std::fmt::Write as _;

use anyhow::Result;
use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use kube::{
    Api, ResourceExt,
    api::{ListParams, LogParams},
};

use crate::space::Space;

/// Lines of each log.
const LINES: i64 = 25;
/// Events.
const EVENTS_MAX: usize = 30;

/// As much as can be learned now; what cannot is said, for the test's own error matters more.
pub async fn of(space: &Space) -> String {
    let mut text = format!("what became of {}:\n", space.name);
    for namespace in space.namespaces().await.unwrap_or_else(|_| vec![space.name.clone()]) {
        let parts = [pods(space, &namespace).await, events(space, &namespace).await];
        for part in parts {
            text += &part.unwrap_or_else(|error| format!("not known: {error:#}\n"));
        }
    }
    let istio = &space.mesh.settings.istio_namespace;
    let pods: Api<Pod> = space.mesh.api(istio);
    match space.mesh.pod(istio, "app=istiod").await {
        Ok(istiod) => text += &log(&pods, &istiod, "discovery").await,
        Err(error) => {
            let _ = writeln!(text, "istiod: {error:#}");
        }
    }
    text
}

async fn pods(space: &Space, namespace: &str) -> Result<String> {
    let api: Api<Pod> = space.mesh.api(namespace);
    let mut text = String::new();
    for pod in api.list(&ListParams::default()).await? {
        let status = pod.status.as_ref();
        let phase = status.and_then(|it| it.phase.as_deref()).unwrap_or("unknown");
        let _ = writeln!(text, "pod {namespace}/{}: {phase}", pod.name_any());
        let inits = status.and_then(|it| it.init_container_statuses.as_ref());
        let containers = status.and_then(|it| it.container_statuses.as_ref());
        for container in inits.into_iter().chain(containers).flatten() {
            text += &state(container);
            if container.name != "istio-init" {
                text += &log(&api, &pod.name_any(), &container.name).await;
            }
        }
    }
    Ok(text)
}

fn state(container: &ContainerStatus) -> String {
    let ContainerStatus { name, ready, restart_count, .. } = container;
    let state = container.state.as_ref();
    let waiting = state.and_then(|it| it.waiting.as_ref());
    let ended = state.and_then(|it| it.terminated.as_ref());
    let why = waiting
        .map(|it| format!("waiting: {:?} {:?}", it.reason, it.message))
        .or_else(|| ended.map(|it| format!("ended with {}: {:?}", it.exit_code, it.reason)));
    let why = why.unwrap_or_else(|| "running".to_owned());
    format!("  {name}: {why}, ready {ready}, {restart_count} restarts\n")
}

async fn log(pods: &Api<Pod>, pod: &str, container: &str) -> String {
    let parameters = LogParams {
        container: Some(container.to_owned()),
        tail_lines: Some(LINES),
        ..LogParams::default()
    };
    match pods.logs(pod, &parameters).await {
        Ok(log) => log.lines().fold(String::new(), |text, line| text + "    " + line + "\n"),
        Err(error) => format!("    no log of {pod}/{container}: {error}\n"),
    }
}

async fn events(space: &Space, namespace: &str) -> Result<String> {
    let api: Api<Event> = space.mesh.api(namespace);
    let events = api.list(&ListParams::default()).await?.items;
    let of_note = events.iter().filter(|it| it.type_.as_deref() != Some("Normal"));
    let lines = of_note.rev().take(EVENTS_MAX).map(|event| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let object = text(&event.involved_object.name);
        format!("event {object}: {} {}\n", text(&event.reason), text(&event.message))
    });
    Ok(lines.collect())
}
