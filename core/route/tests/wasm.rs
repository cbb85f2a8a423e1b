//! The vectors on wasm32, where the filter runs: the same file, the same answers.
#![cfg(target_arch = "wasm32")]

mod common;
mod vectors;

use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test]
fn decisions_are_as_written_down() {
    assert!(vectors::decisions() > 100);
}

#[wasm_bindgen_test]
fn hashes_and_buckets_are_as_written_down() {
    vectors::siphash();
}
