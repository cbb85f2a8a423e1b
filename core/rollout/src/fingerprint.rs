//! Whether something is still what it was, in eight bytes.

use std::fmt::{self, Debug, Write};

/// FNV-1a of how a value prints. It need only be the same for the same value, within one version of this code: another
/// one may cost a generation.
pub(crate) fn fingerprint(value: &impl Debug) -> u64 {
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    // Hashing cannot fail.
    let _ = write!(hash, "{value:?}");
    hash.0
}

struct Fnv(u64);

impl Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = text
            .bytes()
            .fold(self.0, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_hash_of_the_text() {
        // FNV-1a of "[1]", by its definition.
        let by_hand = [91_u64, 49, 93].into_iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ byte).wrapping_mul(0x0100_0000_01b3)
        });
        assert_eq!(fingerprint(&[1]), by_hand);
        assert_ne!(fingerprint(&[1]), fingerprint(&[2]));
    }
}
