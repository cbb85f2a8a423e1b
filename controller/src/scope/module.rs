//! The module that proxies load, pinned: what is loaded changes by an upgrade and by nothing else.

use std::str::FromStr;

use thiserror::Error;

const DIGEST: &str = "@sha256:";
const DIGEST_HEX: usize = 64;

/// Where the module is: an OCI image by digest. A tag would be resolved anew by every proxy at every change of a
/// weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module(String);

/// An address that is not pinned.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "module {0:?} must be an OCI image by digest: oci://REGISTRY/NAME@sha256:…, 64 lower-case hexadecimal digits"
)]
pub struct ModuleError(String);

impl Module {
    /// The address.
    pub fn url(&self) -> &str {
        &self.0
    }
}

impl FromStr for Module {
    type Err = ModuleError;

    fn from_str(url: &str) -> Result<Self, ModuleError> {
        let image = url.strip_prefix("oci://").and_then(|rest| rest.split_once(DIGEST));
        let hexadecimal = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
        let pinned = image.is_some_and(|(name, digest)| {
            !name.is_empty() && digest.len() == DIGEST_HEX && digest.bytes().all(hexadecimal)
        });
        if pinned { Ok(Self(url.to_owned())) } else { Err(ModuleError(url.to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_digest_pins() {
        let digest = "0123456789abcdef".repeat(4);
        let pinned = format!("oci://registry.example/serin/filter@sha256:{digest}");
        assert_eq!(pinned.parse::<Module>().unwrap().url(), pinned);
        for loose in [
            "oci://registry.example/serin/filter:latest".to_owned(),
            format!("registry.example/serin/filter@sha256:{digest}"),
            format!("oci://@sha256:{digest}"),
            pinned.replace("sha256:0", "sha256:Z"),
            pinned[..pinned.len() - 1].to_owned(),
            "file:///serin.wasm".to_owned(),
        ] {
            assert!(loose.parse::<Module>().is_err(), "{loose}");
        }
    }
}
