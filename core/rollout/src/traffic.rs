//! A run's traffic as all proxies together have reported it: cumulative, by generation.

use serin_route::{Cell, Track};

/// The run's counts, summed over all VMs. Cumulative: a step looks at what is new against its ledger.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traffic {
    /// The generations still kept, rising.
    pub generations: Vec<GenerationTraffic>,
    /// VMs heard in the last five seconds.
    pub heard: usize,
}

/// One generation's counts; the weight is constant within.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GenerationTraffic {
    /// Its number.
    pub generation: u64,
    /// The latency edges of every cell.
    pub edges_ms: Vec<u32>,
    /// Requests served by another track than decided.
    pub mismatched: u64,
    /// Sums over VMs.
    pub cells: Vec<Cell>,
    /// Keyed users.
    pub keyed: Vec<KeyedTraffic>,
}

/// Keyed users of one track, each failing user counted once in the release.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyedTraffic {
    /// The track that served.
    pub track: Track,
    /// Users at risk, summed over flushes and VMs.
    pub at_risk: u64,
    /// Users that failed for the first time in the run.
    pub failed: u64,
    /// A bound was hit somewhere: no evidence.
    pub overflow: bool,
}
