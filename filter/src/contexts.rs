//! What Envoy calls, as the SDK dispatches it: root contexts and streams.
//!
//! The SDK exports every callback that there is. `cargo xtask wasm` keeps those that have a body here, for Envoy would
//! enter the others for nothing on every request.
//!
//! The SDK's dispatcher panics where a host breaks the ABI: at a context or a call that it never heard of, and at a
//! callback within a callback. Envoy does neither, where its failures come closest: it makes a context before it logs a
//! request that it refused itself, and a call that fails at once is answered after the callback, or not at all (`e2e`
//! holds it to that). Nothing in here asks for anything that could enter another callback.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

use crate::root::Root;
use crate::stream::Stream;

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, _headers: usize, _body: usize, _: usize) {
        self.answer(token);
    }
}

impl RootContext for Root {
    /// Always accepts: a refusal would have Envoy answer 500 to everything if this is its first configuration.
    fn on_configure(&mut self, _size: usize) -> bool {
        self.configure();
        true
    }

    fn on_tick(&mut self) {
        self.tick();
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream::new(self.stream())))
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _headers: usize, _end_of_stream: bool) -> Action {
        self.enter();
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _headers: usize, end_of_stream: bool) -> Action {
        self.answer(end_of_stream);
        Action::Continue
    }

    fn on_log(&mut self) {
        self.leave();
    }
}
