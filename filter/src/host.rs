//! Envoy's functions, as far as the filter calls them.
//!
//! A call that fails says `None` or `false` and never panics, for a panic takes the filter out of its Envoy; values are
//! bytes, for a header may hold any. Beside [`crate::abi`] the only file that may say `unsafe`.
#![expect(unsafe_code, reason = "the host is reached through foreign functions")]

use std::ptr::{null_mut, slice_from_raw_parts_mut};

const OK: u32 = 0;
const BUFFER_PLUGIN_CONFIGURATION: u32 = 7;
const LOG_WARN: u32 = 3;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
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
        map: u32,
        name: *const u8,
        name_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout_ms: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, by: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
}

// The one WASI function that every Envoy offers to a module of any target; the standard library's own source of
// randomness does not exist on wasm32-unknown-unknown.
#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn random_get(data: *mut u8, size: usize) -> u32;
}

/// The headers of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Map {
    Request = 0,
    Response = 2,
    ResponseTrailers = 3,
    /// Of the answer to a call of ours.
    CallResponse = 6,
}

/// A kind of Envoy statistic.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Metric {
    Counter = 0,
    Gauge = 1,
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
pub(crate) fn header(map: Map, name: &str) -> Option<Vec<u8>> {
    // SAFETY: the name is readable for its size; data and size are for the host to write.
    returned(|data, size| unsafe {
        proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), data, size)
    })
}

/// Adds a header beside those of its name.
pub(crate) fn add_header(map: Map, name: &str, value: &str) -> bool {
    let (name_size, value_size) = (name.len(), value.len());
    // SAFETY: name and value are readable for their sizes.
    OK == unsafe {
        let (name, value) = (name.as_ptr(), value.as_ptr());
        proxy_add_header_map_value(map as u32, name, name_size, value, value_size)
    }
}

/// Sets a header, in place of any of its name.
pub(crate) fn set_header(map: Map, name: &str, value: &str) -> bool {
    let (name_size, value_size) = (name.len(), value.len());
    // SAFETY: name and value are readable for their sizes.
    OK == unsafe {
        let (name, value) = (name.as_ptr(), value.as_ptr());
        proxy_replace_header_map_value(map as u32, name, name_size, value, value_size)
    }
}

/// Removes a header.
pub(crate) fn remove_header(map: Map, name: &str) -> bool {
    // SAFETY: the name is readable for its size.
    OK == unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) }
}

/// A call of ours to a cluster.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) cluster: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
    pub(crate) timeout_ms: u32,
}

/// Sends a call. Its token, with which the answer comes to the context at hand; none if Envoy does not know the cluster
/// or cannot send.
pub(crate) fn call(call: &Call<'_>) -> Option<u32> {
    let Call { cluster, body, timeout_ms, .. } = *call;
    let (headers, trailers) = (pairs(call.headers), pairs(&[]));
    let mut token = 0;
    // SAFETY: all four are readable for their sizes, the token is for the host to write.
    let status = unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            trailers.as_ptr(),
            trailers.len(),
            timeout_ms,
            &raw mut token,
        )
    };
    (status == OK).then_some(token)
}

/// The plugin's configuration; empty where there is none.
pub(crate) fn configuration() -> Vec<u8> {
    // SAFETY: data and size are for the host to write.
    let bytes = returned(|data, size| unsafe {
        proxy_get_buffer_bytes(BUFFER_PLUGIN_CONFIGURATION, 0, usize::MAX, data, size)
    });
    bytes.unwrap_or_default()
}

/// Wall-clock time in nanoseconds since 1970, the only clock that costs no more than a call.
pub(crate) fn now_ns() -> u64 {
    let mut time = 0;
    // SAFETY: the time is for the host to write; it stays 0 if the call fails.
    unsafe { proxy_get_current_time_nanoseconds(&raw mut time) };
    time
}

/// Has the current root context ticked at that period, 0 for never.
pub(crate) fn set_tick_period_ms(period: u32) {
    // SAFETY: passes a number only. A failure leaves the period as it is, and there is nobody to tell.
    unsafe { proxy_set_tick_period_milliseconds(period) };
}

/// Writes a warning to Envoy's log.
pub(crate) fn warn(message: &str) {
    // SAFETY: the message is readable for its size.
    unsafe { proxy_log(LOG_WARN, message.as_ptr(), message.len()) };
}

/// Defines a statistic, or finds it by its name.
pub(crate) fn define(kind: Metric, name: &str) -> Option<u32> {
    let mut id = 0;
    // SAFETY: the name is readable for its size, the id is for the host to write.
    let status =
        unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut id) };
    (status == OK).then_some(id)
}

/// Raises a counter.
pub(crate) fn increment(counter: u32, by: u64) {
    let by = i64::try_from(by).unwrap_or(i64::MAX);
    // SAFETY: passes numbers only.
    unsafe { proxy_increment_metric(counter, by) };
}

/// Sets a gauge.
pub(crate) fn record(gauge: u32, value: u64) {
    // SAFETY: passes numbers only.
    unsafe { proxy_record_metric(gauge, value) };
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
    // SAFETY: the host asked `abi::proxy_on_memory_allocate` for exactly this block, filled it, and hands it over.
    Some(unsafe { Box::from_raw(slice_from_raw_parts_mut(data, size)) }.into_vec())
}

/// Lays out headers as the ABI wants them: the count, the sizes of each name and value, then these, each followed by
/// NUL; integers are 32 bits, little-endian.
fn pairs(headers: &[(&str, &str)]) -> Vec<u8> {
    let size = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = size(headers.len()).to_vec();
    for (name, value) in headers {
        bytes.extend(size(name.len()));
        bytes.extend(size(value.len()));
    }
    for text in headers.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
    }
    bytes
}
