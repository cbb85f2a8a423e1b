//! Latency edges: a fixed grid, and every bound that someone asks about as an exact edge.

use std::collections::BTreeSet;

use serin_rollout::{Check, CheckSource, Evidence, Objective};

use crate::Problems;

/// 1 ms to 65 s, each √2 times the one before, in whole milliseconds.
const GRID: [u32; 32] = [
    1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512, 724, 1024, 1448, 2048,
    2896, 4096, 5793, 8192, 11_585, 16_384, 23_170, 32_768, 46_341, 65_536,
];
/// What a table holds.
const EDGES_MAX: usize = 64;

/// The edges of a plan's rollout, rising.
pub(super) fn edges(checks: &[Check], evidence: &Evidence, problems: &mut Problems) -> Vec<u32> {
    let mut edges = BTreeSet::from(GRID);
    for objective in &evidence.objectives {
        if let Objective::Latency { threshold_ms, .. } = objective {
            edges.insert(*threshold_ms);
        }
    }
    let durations = checks.iter().filter(|check| check.source == CheckSource::Duration99);
    edges.extend(durations.flat_map(|check| [check.min, check.max]).flatten().filter_map(edge));
    if edges.len() > EDGES_MAX {
        let own = EDGES_MAX - GRID.len();
        problems.add("spec.analysis", format!("holds more than {own} different latency bounds"));
    }
    edges.into_iter().collect()
}

/// A bound as an edge; none at or below zero, where nothing can lie.
fn edge(bound: f64) -> Option<u32> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked first")]
    (bound >= 1.0 && bound <= f64::from(u32::MAX)).then_some(bound as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_is_spaced_by_the_square_root_of_two() {
        let mut exact: Vec<f64> =
            (0..=32).map(|power| 2_f64.powf(f64::from(power) / 2.0).round()).collect();
        exact.dedup();
        assert_eq!(exact, GRID.map(f64::from));
    }
}
