//! Who this Envoy is.

use serin_route::Labels;

use crate::host;

/// Labels taken from the host; a pod has a few dozen.
const LABELS_MAX: usize = 256;
/// Bytes of a name, the receiver's bound.
const TEXT_BYTES_MAX: usize = 512;

/// The proxy, as its own bootstrap names it.
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// `node.id`.
    pub(crate) proxy: String,
    /// The pod's namespace, as Istio hands it to the proxy; empty elsewhere.
    pub(crate) namespace: String,
    /// The pod's labels, likewise.
    pub(crate) labels: Labels,
}

impl Node {
    pub(crate) fn read() -> Self {
        Self {
            proxy: text("xds\0node\0id"),
            namespace: text("xds\0node\0metadata\0NAMESPACE"),
            labels: host::property("xds\0node\0metadata\0LABELS")
                .and_then(|bytes| labels(&bytes))
                .unwrap_or_default(),
        }
    }
}

/// A property as a receiver accepts it: short, UTF-8, without control characters.
fn text(path: &str) -> String {
    let bytes = host::property(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut text: String = text.chars().filter(|c| !c.is_control()).collect();
    while text.len() > TEXT_BYTES_MAX {
        text.pop();
    }
    text
}

/// Reads a map as the proxy-wasm ABI lays it out: the count, then the sizes of each name and value, then these, each
/// followed by NUL; integers are 32 bits, little-endian. None where the bytes are no such thing.
fn labels(bytes: &[u8]) -> Option<Labels> {
    let (count, mut sizes) = integer(bytes)?;
    let count = usize::try_from(count).ok()?;
    let mut texts = sizes.get(count.checked_mul(8)?..)?;
    let mut labels = Labels::new();
    for _ in 0..count.min(LABELS_MAX) {
        let (name_size, rest) = integer(sizes)?;
        let (value_size, rest) = integer(rest)?;
        sizes = rest;
        let (name, rest) = terminated(texts, name_size)?;
        let (value, rest) = terminated(rest, value_size)?;
        texts = rest;
        labels.insert(name, value);
    }
    Some(labels)
}

fn integer(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (integer, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*integer), rest))
}

fn terminated(bytes: &[u8], size: u32) -> Option<(String, &[u8])> {
    let (text, rest) = bytes.split_at_checked(usize::try_from(size).ok()?)?;
    let (_nul, rest) = rest.split_first()?;
    Some((String::from_utf8_lossy(text).into_owned(), rest))
}
