//! What a filter has seen, on the wire: cumulative since the VM's boot, so that resending is harmless.
//!
//! JSON, camelCase; unknown fields are ignored. A generation is repeated in every report until a report that held its
//! newest counts was answered with 200; a generation that a report leaves out is unchanged.

use serde::{Deserialize, Serialize};

use crate::table::is_default;
use crate::{Assignment, Side, Track};

/// One VM's report of one scope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Always [`crate::VERSION`].
    pub version: u32,
    /// The table's scope.
    pub scope: String,
    /// The table's side: what the pods' own side counts is the same requests once more.
    #[serde(default, skip_serializing_if = "is_default")]
    pub side: Side,
    /// The proxy's name (`node.id`).
    pub proxy: String,
    /// The proxy's namespace, empty outside Kubernetes.
    #[serde(default)]
    pub namespace: String,
    /// Drawn once for each VM, 16 hexadecimal digits; all counters start at 0 with it.
    pub boot: String,
    /// Rises with every report of a boot.
    pub sequence: u64,
    /// Why the newest table was refused; the last good one is in force then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The table's rollouts and those that ended while requests were in flight.
    pub rollouts: Vec<RolloutReport>,
}

/// One rollout's part of a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutReport {
    /// As in the table.
    pub name: String,
    /// As in the table.
    pub namespace: String,
    /// As in the table.
    pub run: String,
    /// The generation in force in this VM: what acknowledges a table.
    pub generation: u64,
    /// The generations whose counts are not known to have arrived.
    #[serde(default)]
    pub generations: Vec<GenerationReport>,
}

/// The counts of one generation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GenerationReport {
    /// Its number.
    pub generation: u64,
    /// The latency edges of every cell, in milliseconds.
    pub edges_ms: Vec<u32>,
    /// Requests served by another track than decided: counted here and nowhere else.
    #[serde(default)]
    pub mismatched: u64,
    /// Counts by track served, assignment and route; combinations without traffic are left out.
    pub cells: Vec<Cell>,
    /// Keyed users, by track.
    #[serde(default)]
    pub keyed: Vec<Keyed>,
}

/// Counts of one track, assignment and route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cell {
    /// The track that served.
    pub track: Track,
    /// How it was assigned.
    pub assignment: Assignment,
    /// The route pattern's name; none for all other routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Requests that ended, those abandoned by their client left out.
    pub requests: u64,
    /// Of these, failed.
    pub failures: u64,
    /// Of these failures, without an answer from the upstream (reset, timeout, no connection).
    #[serde(default)]
    pub resets: u64,
    /// Attempts beyond the first.
    #[serde(default)]
    pub retries: u64,
    /// Requests that their client gave up.
    #[serde(default)]
    pub abandoned: u64,
    /// Upgraded connections (101): neither failures nor latency.
    #[serde(default)]
    pub upgraded: u64,
    /// Latency.
    #[serde(default)]
    pub latency: Latency,
    /// Upstream addresses of failures, the first 16 that were seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstreams: Vec<Upstream>,
}

/// Requests by the number of edges that they have outlived: index 0 outlived none, the last outlived all. Trailing
/// zeros are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    /// Those that ended with an answer or a failure.
    pub done: Vec<u64>,
    /// Those in flight, and those that their client gave up: they outlived some edges, of the rest nothing is known.
    pub censored: Vec<u64>,
}

/// Failures of one upstream address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Upstream {
    /// `address:port`, as Envoy prints it.
    pub address: String,
    /// Failed requests.
    pub failures: u64,
}

/// Keyed users of one track. The unit is the user: requests of one user are not independent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Keyed {
    /// The track that served.
    pub track: Track,
    /// Summed over flushes: distinct users of the flush that this VM has not seen failing before.
    pub at_risk: u64,
    /// Users that failed, each once; bounded.
    pub failed: Vec<KeyHash>,
    /// A bound was hit: this generation's keyed traffic is no evidence.
    #[serde(default)]
    pub overflow: bool,
}

/// A user's key, hashed with the run's salt; 16 hexadecimal digits on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyHash(pub u64);

/// A key's hash that is not 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHashError;

impl TryFrom<String> for KeyHash {
    type Error = KeyHashError;

    fn try_from(digits: String) -> Result<Self, KeyHashError> {
        if digits.len() != 16 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(KeyHashError);
        }
        u64::from_str_radix(&digits, 16).map(Self).map_err(|_| KeyHashError)
    }
}

impl std::fmt::Display for KeyHashError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key's hash is 16 hexadecimal digits")
    }
}

impl std::error::Error for KeyHashError {}

impl From<KeyHash> for String {
    fn from(hash: KeyHash) -> Self {
        format!("{:016x}", hash.0)
    }
}

impl Report {
    /// As it goes over the wire; [`Report::parse`] reads it.
    pub fn to_json(&self) -> Vec<u8> {
        // Neither a map nor a float is in it, and writing to memory does not fail: so nothing can.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Cell {
    /// Nothing counted yet.
    pub fn new(track: Track, assignment: Assignment) -> Self {
        Self {
            track,
            assignment,
            route: None,
            requests: 0,
            failures: 0,
            resets: 0,
            retries: 0,
            abandoned: 0,
            upgraded: 0,
            latency: Latency::default(),
            upstreams: Vec::new(),
        }
    }
}

impl Latency {
    /// `(exposed, outlived)` at an edge: of the requests that completed under it or outlived it, how many outlived it.
    pub fn at_edge(&self, edge: usize) -> (u64, u64) {
        let over = |counts: &[u64]| counts.iter().skip(edge.saturating_add(1)).sum::<u64>();
        let outlived = over(&self.done).saturating_add(over(&self.censored));
        let under: u64 = self.done.iter().take(edge.saturating_add(1)).sum();
        (under.saturating_add(outlived), outlived)
    }
}
