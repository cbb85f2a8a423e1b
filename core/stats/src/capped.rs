//! What no single burst may decide.

use serde::{Deserialize, Serialize};

/// The greatest factor of one block for a process that is given `weight` of the budget `alpha`:
/// `⌈√(1/(alpha·weight))⌉`, so that two blocks can convict and one cannot. Both are in (0, 1]; what is not counts as
/// 1.
pub fn cap(alpha: f64, weight: f64) -> f64 {
    let share = |value: f64| if value > 0.0 && value <= 1.0 { value } else { 1.0 };
    (1.0 / (share(alpha) * share(weight))).sqrt().ceil()
}

/// A process whose evidence grows at most by a factor in each block of time.
///
/// Never more than the process itself, so just as valid: a fault of ten seconds cannot convict however many requests
/// it hits. What a block lost to the cap stays lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capped {
    ln_cap: f64,
    block_s: u64,
    block: u64,
    /// The capped evidence when the block began.
    base: f64,
    /// The process's own evidence when the block began.
    start: f64,
    /// The process's own evidence now.
    latest: f64,
    /// Earlier blocks that raised the evidence.
    rises: u32,
}

impl Capped {
    /// A process that has no evidence yet. `cap` is the greatest factor of one block, at least 1; `block_s` its
    /// length in seconds, at least 1.
    pub fn new(cap: f64, block_s: u64) -> Self {
        let ln_cap = if cap.is_finite() { cap.max(1.0).ln() } else { 0.0 };
        Self {
            ln_cap,
            block_s: block_s.max(1),
            block: 0,
            base: 0.0,
            start: 0.0,
            latest: 0.0,
            rises: 0,
        }
    }

    /// Takes the process's evidence at `now_s` seconds since its start. Time that goes back belongs to the latest
    /// block; what is no finite number is ignored.
    pub fn update(&mut self, now_s: u64, ln_e: f64) {
        let block = now_s.checked_div(self.block_s).unwrap_or(0);
        if block > self.block {
            self.rises = self.blocks();
            self.base = self.ln_e();
            self.start = self.latest;
            self.block = block;
        }
        if ln_e.is_finite() {
            self.latest = ln_e;
        }
    }

    /// The logarithm of the capped evidence.
    pub fn ln_e(&self) -> f64 {
        self.base + self.gain()
    }

    /// How many blocks raised the evidence, from their start to their end.
    pub fn blocks(&self) -> u32 {
        self.rises.saturating_add(u32::from(self.gain() > 0.0))
    }

    fn gain(&self) -> f64 {
        (self.latest - self.start).min(self.ln_cap)
    }
}
