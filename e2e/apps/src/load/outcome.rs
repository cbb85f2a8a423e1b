//! What became of a load: for programs as JSON, for people as a table.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Where requests went.
    pub url: String,
    /// Requests a second that were to be sent.
    pub rps: f64,
    /// How long it took, the last answers included.
    pub elapsed_s: f64,
    /// It was ended early.
    pub interrupted: bool,
    /// Requests that were to be sent.
    pub planned: u64,
    /// Those that were.
    pub sent: u64,
    /// Those whose time came when as many as may be were under way.
    pub skipped: u64,
    /// Answers.
    pub answered: u64,
    /// Answers by status.
    pub status: BTreeMap<u16, u64>,
    /// Answers by version, of those that name one.
    pub versions: BTreeMap<String, u64>,
    /// Answers with a status of 500 and above, and requests without an answer.
    pub failures: Failures,
    /// Why requests were not answered.
    pub transport: BTreeMap<String, u64>,
    /// From a request's sending to its answer's last byte; none without answers.
    pub latency_ms: Option<Latency>,
    /// The same of each version's answers.
    pub version_latency_ms: BTreeMap<String, Latency>,
    /// When each version answered, after the load's beginning.
    #[serde(default)]
    pub version_span_s: BTreeMap<String, Span>,
    /// When the app failed on purpose, if it did.
    #[serde(default)]
    pub fault_span_s: Option<Span>,
    /// When requests failed otherwise: the first of them.
    #[serde(default)]
    pub otherwise_s: Vec<f64>,
    /// When each version answered each user, where there are users: by the times at which they asked.
    #[serde(default)]
    pub user_span_s: BTreeMap<u64, BTreeMap<String, Span>>,
}

/// From the first to the last, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// The first.
    pub first: f64,
    /// The last.
    pub last: f64,
}

/// Failures by their maker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// The app's, on purpose.
    pub app: u64,
    /// The app's, without its mark.
    pub unmarked: u64,
    /// A proxy's: no version is named.
    pub envoy: u64,
    /// No whole answer came.
    pub transport: u64,
}

/// Quantiles in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Half took no longer.
    pub p50: f64,
    /// 95 of 100 took no longer.
    pub p95: f64,
    /// 99 of 100 took no longer.
    pub p99: f64,
    /// None took longer.
    pub max: f64,
}

impl Span {
    /// With one more in it.
    pub(super) fn extend(span: &mut Option<Self>, at: f64) {
        let Self { first, last } = span.unwrap_or(Self { first: at, last: at });
        *span = Some(Self { first: first.min(at), last: last.max(at) });
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, rps, elapsed_s, planned, sent, skipped, answered, .. } = self;
        let early = if self.interrupted { ", ended early" } else { "" };
        writeln!(f, "{url}: {rps} requests a second for {elapsed_s:.1} s{early}")?;
        writeln!(f, "  planned   {planned}, sent {sent}, skipped {skipped}, answered {answered}")?;
        row(f, "status", &self.status)?;
        row(f, "version", &self.versions)?;
        let Failures { app, unmarked, envoy, transport } = self.failures;
        writeln!(
            f,
            "  failures  by the app {app} (unmarked {unmarked}), by Envoy {envoy}, in transport {transport}"
        )?;
        row(f, "transport", &self.transport)?;
        if let Some(Latency { p50, p95, p99, max }) = self.latency_ms {
            writeln!(
                f,
                "  latency   p50 {p50:.1} ms, p95 {p95:.1} ms, p99 {p99:.1} ms, max {max:.1} ms"
            )?;
        }
        Ok(())
    }
}

fn row<K: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    counts: &BTreeMap<K, u64>,
) -> fmt::Result {
    if counts.is_empty() {
        return Ok(());
    }
    let counts = counts.iter().map(|(name, count)| format!("{name} {count}"));
    writeln!(f, "  {name:<9} {}", counts.collect::<Vec<_>>().join(", "))
}
