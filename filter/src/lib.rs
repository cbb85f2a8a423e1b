//! Serin's filter: the shell between Envoy and `serin-route`.
//!
//! For each request it asks the router which track serves it, steers by one header, and counts what became of it; on
//! a tick it reports. It decides nothing itself, never blocks a request, never reads a body, and panics at nothing that
//! a request, a table or a receiver can hold: Envoy would drop a filter that does, and with it the canary's share and
//! its counts.

mod contexts;
mod host;
mod loaded;
mod metrics;
mod node;
mod random;
mod reporter;
mod request;
mod root;
mod scope;
mod stream;
mod succession;
mod vm;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|id| Box::new(root::Root::new(id)));
}}
