//! What Envoy calls: the callbacks of the proxy-wasm ABI 0.2.1 that this filter has a use for, and no others.
//!
//! Written out rather than taken from the SDK, because that exports all thirty callbacks, each of which Envoy would
//! then enter for nothing on every request, answers a context that it does not know with a panic, and brings 40 KiB of
//! code that its tables keep alive. Beside [`crate::host`] the only file that may say `unsafe`.
#![expect(unsafe_code, reason = "a callback is found by its unmangled name")]

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::root::Root;
use crate::stream::Stream;

/// Goes on with the request or the answer: the only thing that this filter ever wants.
const CONTINUE: u32 = 0;

/// What Envoy gave an id.
#[derive(Debug)]
enum Context {
    Root(Root),
    Stream(Stream),
}

thread_local! {
    static CONTEXTS: RefCell<BTreeMap<u32, Context>> = const { RefCell::new(BTreeMap::new()) };
}

/// Says which version of the ABI this is; never called.
#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// Memory for bytes that the host returns: see [`crate::host`], which takes it over.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    Box::into_raw(vec![0_u8; size].into_boxed_slice()).cast()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(id: u32, root: u32) {
    with_contexts(|contexts| {
        let context = match contexts.get(&root) {
            Some(Context::Root(root)) => Context::Stream(Stream::new(root.scope())),
            Some(Context::Stream(_)) | None => Context::Root(Root::new(id)),
        };
        contexts.insert(id, context)
    });
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(id: u32) {
    with_contexts(|contexts| contexts.remove(&id));
}

/// Always accepts: a refusal would have Envoy answer 500 to everything if this is its first configuration.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(id: u32, _size: usize) -> u32 {
    with_root(id, Root::configure);
    1
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(id: u32) {
    with_root(id, Root::tick);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(
    id: u32,
    token: u32,
    _headers: u32,
    _body_size: u32,
    _trailers: u32,
) {
    with_root(id, |root| root.answer(token));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(id: u32, _headers: u32, _end_of_stream: u32) -> u32 {
    with_stream(id, Stream::enter);
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(id: u32, _headers: u32, end_of_stream: u32) -> u32 {
    with_stream(id, |stream| stream.answer(end_of_stream != 0));
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(id: u32) {
    with_stream(id, Stream::leave);
}

fn with_root<T>(id: u32, act: impl FnOnce(&mut Root) -> Option<T>) {
    with_contexts(|contexts| match contexts.get_mut(&id) {
        Some(Context::Root(root)) => act(root),
        Some(Context::Stream(_)) | None => None,
    });
}

fn with_stream<T>(id: u32, act: impl FnOnce(&mut Stream) -> Option<T>) {
    with_contexts(|contexts| match contexts.get_mut(&id) {
        Some(Context::Stream(stream)) => act(stream),
        Some(Context::Root(_)) | None => None,
    });
}

/// Does nothing if a callback runs already: no host that keeps to the ABI enters a second one.
fn with_contexts<T>(act: impl FnOnce(&mut BTreeMap<u32, Context>) -> Option<T>) -> Option<T> {
    CONTEXTS.try_with(|contexts| act(&mut *contexts.try_borrow_mut().ok()?)).ok()?
}
