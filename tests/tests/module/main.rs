//! The built module in a host of ours: `dist/serin.wasm` as an Envoy would load it, without the Envoy.
//!
//! Prefer this tier for whatever depends on the order of callbacks, on bytes that a real client cannot be made to send,
//! or on the number of calls to the host; prefer `core/route`'s own tests for decisions, and `e2e` for what Envoy does.

mod budget;
mod configuration;
mod corners;
mod endings;
mod fixture;
mod histories;
mod hostile;
mod reports;
mod returning;
mod statistics;
mod steering;

use fixture::host;

/// Envoy compiles it on its main thread, about a millisecond for each KiB.
#[test]
fn the_module_is_small() {
    let bytes = host().bytes();
    assert!(bytes <= 256 * 1024, "{bytes} bytes");
}
