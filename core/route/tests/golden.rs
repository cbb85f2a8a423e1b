//! The vectors and the exact wire form of table and report. `UPDATE_GOLDEN=1` writes the latter anew: mind that
//! filters and controllers of different age read each other's.
#![cfg(not(target_arch = "wasm32"))]

mod vectors;

#[test]
fn decisions_are_as_written_down() {
    assert!(vectors::decisions() > 100);
}

#[test]
fn hashes_and_buckets_are_as_written_down() {
    vectors::siphash();
}
