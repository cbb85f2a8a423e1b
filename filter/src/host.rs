//! Envoy's functions, as far as the filter calls them.
//!
//! The SDK's where those cannot panic: where Envoy answers nothing but what they expect, or they say what else it
//! answered. Its others panic on any other status, and a panic takes the filter out of its Envoy: a header map that is
//! gone, a property of no stream, a value that is not UTF-8. In their place stand wrappers of our own, which say `None`
//! or `false` and know values as bytes, for a header may hold any. The clock is ours for it is read twice for each
//! request, and a number is all that is wanted of it. The only file that may say `unsafe`.
#![expect(unsafe_code, reason = "the host is reached through foreign functions")]

use std::ptr::{null_mut, slice_from_raw_parts_mut};
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel, MapType, MetricType, Status};

/// What every call answers that succeeded. A number and not the SDK's type, which knows a part of the statuses only.
const OK: u32 = Status::Ok as u32;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_get_header_map_value(
        map: MapType,
        name: *const u8,
        name_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_add_header_map_value(
        map: MapType,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: MapType,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: MapType, name: *const u8, name_size: usize) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
}

// The one WASI function that every Envoy offers to a module of any target; the standard library's own source of
// randomness does not exist on wasm32-unknown-unknown.
#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn random_get(data: *mut u8, size: usize) -> u32;
}

/// A property by its path, the parts separated by NUL.
pub(crate) fn property(path: &str) -> Option<Vec<u8>> {
    // SAFETY: the path is readable for its size; data and size are for the host to write.
    returned(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

/// A property that is an integer.
pub(crate) fn number(path: &str) -> Option<u64> {
    Some(u64::from_le_bytes(property(path)?.try_into().ok()?))
}

/// Sets a property of the stream.
pub(crate) fn set_property(path: &str, value: &[u8]) -> bool {
    // SAFETY: path and value are readable for their sizes.
    OK == unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) }
}

/// The first value of a header.
pub(crate) fn header(map: MapType, name: &str) -> Option<Vec<u8>> {
    // SAFETY: the name is readable for its size; data and size are for the host to write.
    returned(|data, size| unsafe {
        proxy_get_header_map_value(map, name.as_ptr(), name.len(), data, size)
    })
}

/// Adds a header beside those of its name.
pub(crate) fn add_header(map: MapType, name: &str, value: &str) -> bool {
    let (name_size, value_size) = (name.len(), value.len());
    // SAFETY: name and value are readable for their sizes.
    OK == unsafe {
        proxy_add_header_map_value(map, name.as_ptr(), name_size, value.as_ptr(), value_size)
    }
}

/// Sets a header, in place of any of its name.
pub(crate) fn set_header(map: MapType, name: &str, value: &str) -> bool {
    let (name_size, value_size) = (name.len(), value.len());
    // SAFETY: name and value are readable for their sizes.
    OK == unsafe {
        proxy_replace_header_map_value(map, name.as_ptr(), name_size, value.as_ptr(), value_size)
    }
}

/// Removes a header.
pub(crate) fn remove_header(map: MapType, name: &str) -> bool {
    // SAFETY: the name is readable for its size.
    OK == unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) }
}

/// A call of ours to a cluster.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) cluster: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
    pub(crate) timeout: Duration,
}

/// Why a call was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsent {
    /// Envoy does not know the cluster.
    UnknownCluster,
    /// It knows it, and cannot send now: no endpoint is there, for example.
    Failed,
}

/// Sends a call. Its token, with which the answer comes to the context at hand.
pub(crate) fn call(call: &Call<'_>) -> Result<u32, Unsent> {
    let Call { cluster, body, timeout, .. } = *call;
    let headers = call.headers.to_vec();
    let sent = hostcalls::dispatch_http_call(cluster, headers, Some(body), Vec::new(), timeout);
    sent.map_err(|status| match status {
        Status::BadArgument => Unsent::UnknownCluster,
        _ => Unsent::Failed,
    })
}

/// The plugin's configuration; empty where there is none.
pub(crate) fn configuration() -> Vec<u8> {
    let bytes = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX);
    bytes.ok().flatten().unwrap_or_default()
}

/// Wall-clock time in nanoseconds since 1970, the only clock that costs no more than a call.
pub(crate) fn now_ns() -> u64 {
    let mut time = 0;
    // SAFETY: the time is for the host to write; it stays 0 if the call fails.
    unsafe { proxy_get_current_time_nanoseconds(&raw mut time) };
    time
}

/// Has the current root context tick at that period, 0 for never.
pub(crate) fn set_tick_period_ms(period: u32) {
    // Never fails.
    let _ = hostcalls::set_tick_period(Duration::from_millis(period.into()));
}

/// The same for another root context, if it lives. Whatever else this callback asks for is in its name, too.
pub(crate) fn set_tick_period_ms_of(root: u32, period: u32) {
    // SAFETY: passes a number only.
    if OK == unsafe { proxy_set_effective_context(root) } {
        set_tick_period_ms(period);
    }
}

/// Writes a warning to Envoy's log.
pub(crate) fn warn(message: &str) {
    // Never fails.
    let _ = hostcalls::log(LogLevel::Warn, message);
}

/// Defines a statistic, or finds it by its name.
pub(crate) fn define(kind: MetricType, name: &str) -> Option<u32> {
    hostcalls::define_metric(kind, name).ok()
}

/// Raises a counter.
pub(crate) fn increment(counter: u32, by: u64) {
    let by = i64::try_from(by).unwrap_or(i64::MAX);
    // Fails for a counter that is none, and there is nobody to tell.
    let _ = hostcalls::increment_metric(counter, by);
}

/// Sets a gauge.
pub(crate) fn record(gauge: u32, value: u64) {
    // As above.
    let _ = hostcalls::record_metric(gauge, value);
}

/// Random bytes; none if the host has none.
pub(crate) fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    // SAFETY: the bytes are writable for their size.
    let errno = unsafe { random_get(bytes.as_mut_ptr(), N) };
    (errno == 0).then_some(bytes)
}

/// Runs a call that returns bytes.
fn returned(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Option<Vec<u8>> {
    let (mut data, mut size) = (null_mut(), 0);
    if call(&raw mut data, &raw mut size) != OK {
        return None;
    }
    if data.is_null() || size == 0 {
        return Some(Vec::new());
    }
    // SAFETY: the host asked the SDK's allocator for exactly this block, a boxed slice, filled it, and hands it over.
    Some(unsafe { Box::from_raw(slice_from_raw_parts_mut(data, size)) }.into_vec())
}
