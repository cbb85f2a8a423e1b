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

/// A call to the host, to be timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// `xds.route_name` before the request goes on.
    RouteName,
    /// A request header that is there.
    Header,
    /// `response.flags` when it is over.
    ResponseFlags,
    /// The time.
    Time,
    /// Sets a request header, the same again and again.
    SetHeader,
}

impl Call {
    /// Its name among proxy-wasm's functions, and how many parameters that has.
    fn host(self) -> (&'static str, usize) {
        match self {
            Self::RouteName | Self::ResponseFlags => ("proxy_get_property", 4),
            Self::Header => ("proxy_get_header_map_value", 5),
            Self::Time => ("proxy_get_current_time_nanoseconds", 1),
            Self::SetHeader => ("proxy_replace_header_map_value", 5),
        }
    }

    /// The callback that makes it.
    fn callback(self) -> &'static str {
        match self {
            Self::ResponseFlags => "proxy_on_log",
            _ => "proxy_on_request_headers",
        }
    }

    /// Texts at 256 and 320, results at 16 and 20.
    fn arguments(self) -> &'static [u32] {
        match self {
            Self::RouteName | Self::ResponseFlags => &[256, 14, 16, 20],
            Self::Header => &[0, 256, 6, 16, 20],
            Self::Time => &[16],
            Self::SetHeader => &[0, 256, 13, 320, 16],
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::RouteName => r"xds\00route_name",
            Self::Header => "x-user",
            Self::ResponseFlags => r"response\00flags",
            Self::Time => "",
            Self::SetHeader => "x-serin-timed",
        }
    }
}

/// A filter that does nothing, in every callback that there is.
pub fn empty() -> Result<Vec<u8>> {
    module("", |_| String::new())
}

/// The same, but for one call that it makes so many times for each request.
pub fn calling(call: Call, times: usize) -> Result<Vec<u8>> {
    let (function, parameters) = call.host();
    let parameters = " i32".repeat(parameters);
    let constants: Vec<_> = call.arguments().iter().map(|it| format!("i32.const {it}")).collect();
    let constants = constants.join(" ");
    let body = format!("{constants} call $host drop ").repeat(times);
    let head = format!(
        "(import \"env\" \"{function}\" (func $host (param{parameters}) (result i32)))\n\
         (data (i32.const 256) \"{}\") (data (i32.const 320) \"0123456789abcdef\")\n",
        call.text(),
    );
    module(&head, |callback| if callback == call.callback() { body.clone() } else { String::new() })
}

fn module(head: &str, body: impl Fn(&str) -> String) -> Result<Vec<u8>> {
    let mut text = format!(
        "(module {head}(memory (export \"memory\") 1)\n\
         (func (export \"proxy_abi_version_0_2_1\"))\n\
         (func (export \"_initialize\"))\n\
         (func (export \"proxy_on_memory_allocate\") (param i32) (result i32) i32.const 1024)\n",
    );
    for (name, parameters, returns) in CALLBACKS {
        let parameters = " i32".repeat(*parameters);
        let (result, value) = match returns {
            Some(value) => ("(result i32)", format!("i32.const {value}")),
            None => ("", String::new()),
        };
        let body = body(name);
        writeln!(text, "(func (export \"{name}\") (param{parameters}) {result} {body}{value})")?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_have_the_lengths_that_the_arguments_say() {
        for call in [Call::RouteName, Call::Header, Call::ResponseFlags, Call::SetHeader] {
            let length = call.text().replace(r"\00", "\0").len();
            let at = call.arguments().iter().position(|argument| *argument == 256).unwrap();
            assert_eq!(call.arguments()[at + 1] as usize, length, "{call:?}");
        }
    }

    #[test]
    fn they_are_modules_and_the_corrupt_one_looks_like_one() {
        for bytes in [empty().unwrap(), calling(Call::Time, 3).unwrap(), corrupt()] {
            assert!(bytes.starts_with(b"\0asm"));
        }
    }
}
