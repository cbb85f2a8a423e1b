//! Modules that are not ours: what the bed compares with, and what must not hurt.

use std::fmt::Write as _;

use anyhow::Result;

/// What the Rust SDK exports from every filter, used or not: name, parameters, whether it returns a number.
const CALLBACKS: &[(&str, usize, Option<u32>)] = &[
    ("proxy_on_context_create", 2, None),
    ("proxy_on_done", 1, Some(1)),
    ("proxy_on_log", 1, None),
    ("proxy_on_delete", 1, None),
    ("proxy_on_vm_start", 2, Some(1)),
    ("proxy_on_configure", 2, Some(1)),
    ("proxy_on_tick", 1, None),
    ("proxy_on_queue_ready", 2, None),
    ("proxy_on_new_connection", 1, Some(0)),
    ("proxy_on_downstream_data", 3, Some(0)),
    ("proxy_on_downstream_connection_close", 2, None),
    ("proxy_on_upstream_data", 3, Some(0)),
    ("proxy_on_upstream_connection_close", 2, None),
    ("proxy_on_request_headers", 3, Some(0)),
    ("proxy_on_request_body", 3, Some(0)),
    ("proxy_on_request_trailers", 2, Some(0)),
    ("proxy_on_response_headers", 3, Some(0)),
    ("proxy_on_response_body", 3, Some(0)),
    ("proxy_on_response_trailers", 2, Some(0)),
    ("proxy_on_http_call_response", 5, None),
    ("proxy_on_grpc_receive_initial_metadata", 3, None),
    ("proxy_on_grpc_receive", 3, None),
    ("proxy_on_grpc_receive_trailing_metadata", 3, None),
    ("proxy_on_grpc_close", 3, None),
    ("proxy_on_foreign_function", 3, None),
];

/// A filter that does nothing, in every callback that there is.
pub fn empty() -> Result<Vec<u8>> {
    let mut text = String::from(
        "(module (memory (export \"memory\") 1)\n\
         (func (export \"proxy_abi_version_0_2_1\"))\n\
         (func (export \"_initialize\"))\n\
         (func (export \"proxy_on_memory_allocate\") (param i32) (result i32) i32.const 1024)\n",
    );
    for (name, parameters, returns) in CALLBACKS {
        let parameters = " i32".repeat(*parameters);
        let (result, body) = match returns {
            Some(value) => ("(result i32)", format!("i32.const {value}")),
            None => ("", String::new()),
        };
        writeln!(text, "(func (export \"{name}\") (param{parameters}) {result} {body})")?;
    }
    text.push(')');
    Ok(wat::parse_str(text)?)
}

/// Begins as a module does, and goes on as none.
pub fn corrupt() -> Vec<u8> {
    let mut bytes = b"\0asm\x01\0\0\0".to_vec();
    bytes.extend((0..4096_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8));
    bytes
}
