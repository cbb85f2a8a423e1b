//! Filters report although no proxy runs: what one would say of the tables in a namespace's `WasmPlugin`s, to the
//! controller's own port, with the token that it finds there.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::{Value, json};
use serin_cluster::apiserver::ApiServer;
use ureq::Agent;

/// The one that reports.
pub(crate) const PROXY: &str = "sidecar~10.0.0.7~web";
const PERIOD: Duration = Duration::from_millis(250);
/// Requests to each track in a period, once the canary has any weight.
const REQUESTS: u64 = 50;

/// Where the controller that there is takes reports, as the Service would lead there.
#[derive(Clone, Default)]
pub(crate) struct Receiver(Arc<Mutex<Option<SocketAddr>>>);

impl Receiver {
    pub(crate) fn at(address: SocketAddr) -> Self {
        let receiver = Self::default();
        receiver.moves_to(address);
        receiver
    }

    pub(crate) fn moves_to(&self, address: SocketAddr) {
        *self.0.lock().expect("nobody panics here") = Some(address);
    }

    fn now(&self) -> Option<SocketAddr> {
        *self.0.lock().expect("nobody panics here")
    }
}

/// Reports until it is dropped.
pub(crate) struct Proxies {
    stop: Arc<AtomicBool>,
    failing: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Proxies {
    /// One proxy of the namespace, for as long as this lives.
    pub(crate) fn in_namespace(
        server: &Arc<ApiServer>,
        namespace: &str,
        reports: SocketAddr,
    ) -> Self {
        Self::reporting_to(server, namespace, Receiver::at(reports), PERIOD)
    }

    /// As [`Self::in_namespace`], while one controller follows another.
    pub(crate) fn reporting_to(
        server: &Arc<ApiServer>,
        namespace: &str,
        receiver: Receiver,
        period: Duration,
    ) -> Self {
        let (stop, failing) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (server, until, share) = (Arc::clone(server), Arc::clone(&stop), Arc::clone(&failing));
        let namespace = namespace.to_owned();
        let thread = thread::spawn(move || {
            let mut proxy = Proxy::default();
            while !until.load(Ordering::Relaxed) {
                for table in tables(&server, &namespace) {
                    let report = proxy.report(&table, &namespace, share.load(Ordering::Relaxed));
                    // A controller that does not answer is told next time.
                    let _ = receiver.now().map(|at| post(at, token(&table), &report));
                }
                thread::sleep(period);
            }
        });
        Self { stop, failing, thread: Some(thread) }
    }

    /// From now on so many of the canary's fifty requests fail in each period.
    pub(crate) fn fail(&self, requests: u64) {
        self.failing.store(requests, Ordering::Relaxed);
    }
}

impl Drop for Proxies {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The tables that the filters of a namespace are given.
pub(crate) fn tables(server: &ApiServer, namespace: &str) -> Vec<Value> {
    let plugins = format!("/apis/extensions.istio.io/v1alpha1/namespaces/{namespace}/wasmplugins");
    let all = server.get(&plugins).unwrap_or_default();
    let items = all["items"].as_array().into_iter().flatten();
    items.map(|it| it["spec"]["pluginConfig"].clone()).collect()
}

/// What the filters of a table must carry.
pub(crate) fn token(table: &Value) -> &str {
    table["reports"]["token"].as_str().unwrap_or_default()
}

/// The status with which a report is answered; none if there is no answer.
pub(crate) fn post(reports: SocketAddr, token: &str, report: &Value) -> Option<u16> {
    let agent = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(5)))
        .build()
        .new_agent();
    let request = agent.post(format!("http://{reports}/v1/reports"));
    let answer =
        request.header("authorization", format!("Bearer {token}")).send(report.to_string());
    answer.ok().map(|answer| answer.status().as_u16())
}

/// What a VM counts, from its boot on.
#[derive(Default)]
struct Proxy {
    sequence: u64,
    /// By run and generation: requests of each track, and the canary's failures.
    counts: BTreeMap<(String, u64), (u64, u64)>,
}

impl Proxy {
    fn report(&mut self, table: &Value, namespace: &str, failing: u64) -> Value {
        self.sequence += 1;
        let rollouts = table["rollouts"].as_array().into_iter().flatten();
        let rollouts: Vec<Value> = rollouts.map(|it| self.rollout(it, failing)).collect();
        json!({
            "version": 1, "scope": table["scope"], "proxy": PROXY, "namespace": namespace,
            "boot": "0123456789abcdef", "sequence": self.sequence, "rollouts": rollouts,
        })
    }

    fn rollout(&mut self, rollout: &Value, failing: u64) -> Value {
        let run = rollout["run"].as_str().unwrap_or_default().to_owned();
        let generation = rollout["generation"].as_u64().unwrap_or_default();
        let counts = self.counts.entry((run.clone(), generation)).or_default();
        if rollout["weight"].as_u64() > Some(0) {
            *counts = (counts.0 + REQUESTS, counts.1 + failing);
        }
        let of_run = self.counts.iter().filter(|((it, _), _)| *it == run);
        let generations: Vec<Value> = of_run
            .map(|((_, generation), (requests, failures))| {
                let cells = [cell("primary", *requests, 0), cell("canary", *requests, *failures)];
                json!({ "generation": generation, "edgesMs": rollout["edgesMs"], "cells": cells })
            })
            .collect();
        json!({
            "name": rollout["name"], "namespace": rollout["namespace"], "run": run,
            "generation": generation, "generations": generations,
        })
    }
}

fn cell(track: &str, requests: u64, failures: u64) -> Value {
    json!({
        "track": track, "assignment": "weight", "requests": requests, "failures": failures,
        "latency": { "done": [requests], "censored": [] },
    })
}
