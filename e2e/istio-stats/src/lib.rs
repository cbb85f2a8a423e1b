//! A test part, and no part of the product: stands in for Istio's own filter `istio.stats` on an upstream Envoy, which
//! lacks it. It counts every stream that ends in `istio_requests_total` and `istio_request_duration_milliseconds`,
//! with the labels that Istio documents. What each label holds here, and where Istio knows more, is in README.md.
//!
//! Labels are told from properties of the stream ([`labels()`]), and written into the statistic's name, from which the
//! proxy's `stats_tags` take them again ([`series`]).

pub mod flags;
pub mod labels;
pub mod node;
pub mod peer;
pub mod series;

#[cfg(target_arch = "wasm32")]
mod filter;

use std::borrow::Cow;

pub use labels::labels;

/// What Envoy knows of a stream and of itself.
pub trait Properties {
    /// A property by its path. None where there is no such.
    fn bytes(&self, path: &[&str]) -> Option<Vec<u8>>;

    /// A property that is text; none where it is empty.
    fn text(&self, path: &[&str]) -> Option<String> {
        let text = String::from_utf8_lossy(&self.bytes(path)?).into_owned();
        (!text.is_empty()).then_some(text)
    }

    /// A property that is an integer.
    fn number(&self, path: &[&str]) -> Option<u64> {
        Some(u64::from_le_bytes(self.bytes(path)?.try_into().ok()?))
    }
}

/// A label's value.
pub type Value = Cow<'static, str>;

/// What nobody can know.
pub const UNKNOWN: &str = "unknown";

#[cfg(target_arch = "wasm32")]
proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(filter::Root::default()));
}}
