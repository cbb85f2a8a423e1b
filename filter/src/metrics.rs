//! Envoy's own statistics, for people's Prometheus.
//!
//! Istio's default tags turn the parts of these names into labels: `cache` holds the rollout's name, `component` the
//! track and `tag` the namespace. A value may not contain a dot, save `tag`, which ends with `;.`. Envoy never
//! forgets a statistic, so they are bounded, and named by nothing that a run or a request brings along.

use proxy_wasm::types::MetricType;
use serin_route::{Delta, Track};

use crate::host;

/// Rollouts' tracks with statistics of their own; those beyond share one rollout's.
const TRACKS_MAX: usize = 1_024;

const PREFIX: &str = "wasm_filter.serin";

/// Statistics of one VM, defined when first needed.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    tracks: Vec<Requests>,
    events: Vec<(&'static str, u32)>,
}

/// The counters of one rollout and track.
#[derive(Debug)]
struct Requests {
    name: String,
    namespace: String,
    track: Track,
    ended: u32,
    failures: u32,
}

/// What may happen to a filter.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// A table was refused.
    ConfigRejected,
    /// A report was answered with 200.
    ReportDelivered,
    /// A report was not.
    ReportFailed,
}

impl Event {
    fn stat(self) -> &'static str {
        match self {
            Self::ConfigRejected => "serin_config_rejected_total",
            Self::ReportDelivered => "serin_reports_delivered_total",
            Self::ReportFailed => "serin_reports_failed_total",
        }
    }
}

impl Metrics {
    /// Counts requests of one rollout and track.
    pub(crate) fn served(&mut self, delta: Delta<'_>) {
        let known = self.tracks.iter().find(|it| it.is_of(delta));
        if let Some(counters) = known {
            counters.count(delta);
        } else if self.tracks.len() >= TRACKS_MAX {
            let other = Delta { name: "other", namespace: "other", ..delta };
            Requests::define(other).inspect(|counters| counters.count(delta));
        } else if let Some(counters) = Requests::define(delta) {
            counters.count(delta);
            self.tracks.push(counters);
        }
    }

    /// Counts an event.
    pub(crate) fn count(&mut self, event: Event) {
        let stat = event.stat();
        if let Some((_, id)) = self.events.iter().find(|(known, _)| *known == stat) {
            host::increment(*id, 1);
        } else if let Some(id) = host::define(MetricType::Counter, &format!("{PREFIX}.{stat}")) {
            host::increment(id, 1);
            self.events.push((stat, id));
        }
    }

    /// Says whether a scope's newest table was refused, so that an older one is in force.
    pub(crate) fn rejected(scope: &str, rejected: bool) {
        let scope = if scope.is_empty() { "unknown" } else { scope };
        let name = format!("{PREFIX}.tag.{};.serin_config_rejected", label(scope));
        if let Some(gauge) = host::define(MetricType::Gauge, &name) {
            host::record(gauge, u64::from(rejected));
        }
    }
}

impl Requests {
    fn define(delta: Delta<'_>) -> Option<Self> {
        let Delta { name, namespace, track, .. } = delta;
        let component = match track {
            Track::Primary => "primary",
            Track::Canary => "canary",
        };
        let labels =
            format!("cache.{}.component.{component}.tag.{};", label(name), label(namespace));
        let counter =
            |stat| host::define(MetricType::Counter, &format!("{PREFIX}.{labels}.{stat}"));
        Some(Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            track,
            ended: counter("serin_requests_total")?,
            failures: counter("serin_failures_total")?,
        })
    }

    fn is_of(&self, delta: Delta<'_>) -> bool {
        self.track == delta.track && self.name == delta.name && self.namespace == delta.namespace
    }

    fn count(&self, delta: Delta<'_>) {
        host::increment(self.ended, delta.requests);
        if delta.failures > 0 {
            host::increment(self.failures, delta.failures);
        }
    }
}

/// A value that does not end a label. Different texts stay different: `_` stands for a dot alone, and what else would
/// not do in a statistic's name is spelled in hexadecimal behind a tilde. A table bounds its texts.
fn label(text: &str) -> String {
    let mut label = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'-' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => label.push(char::from(byte)),
            b'.' => label.push('_'),
            _ => label.extend(['~', digit(byte >> 4), digit(byte & 0xf)]),
        }
    }
    label
}

fn digit(half: u8) -> char {
    char::from_digit(u32::from(half), 16).unwrap_or('0')
}
