//! Any bytes as a report: refused in words, or read, and then written and read back alike, its sums without overflow.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serin_route::Report;

fuzz_target!(|bytes: &[u8]| {
    let report = match Report::parse(bytes) {
        Ok(report) => report,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let written = serde_json::to_vec(&report).unwrap();
    assert_eq!(Report::parse(&written).as_ref(), Ok(&report));
    for generation in report.rollouts.iter().flat_map(|it| &it.generations) {
        for cell in &generation.cells {
            for edge in 0..generation.edges_ms.len() {
                let (exposed, outlived) = cell.latency.at_edge(edge);
                assert!(outlived <= exposed);
            }
        }
    }
});
