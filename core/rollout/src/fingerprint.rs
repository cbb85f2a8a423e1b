//! Whether something is still what it was, in 53 bits.

use std::fmt::{self, Debug, Write};

/// What every reader of JSON keeps exactly. Kubernetes turns a larger integer than 63 bits hold into a double: what a
/// status said would come back as something else.
const BITS: u32 = 53;

/// FNV-1a of how a value prints, folded. It need only be the same for the same value, within one version of this code:
/// another one may cost a generation.
pub(crate) fn fingerprint(value: &impl Debug) -> u64 {
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    // Hashing cannot fail.
    let _ = write!(hash, "{value:?}");
    fold(hash.0)
}

/// Fewer bits of a hash, all of which tell on them.
fn fold(hash: u64) -> u64 {
    (hash >> BITS) ^ (hash & ((1 << BITS) - 1))
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
        assert_eq!(fingerprint(&[1]), fold(by_hand));
        assert_ne!(fingerprint(&[1]), fingerprint(&[2]));
    }

    #[test]
    fn a_double_holds_it() {
        assert_eq!([fold(0), fold(1 << 53), fold(u64::MAX)], [0, 1, ((1 << 53) - 1) ^ 0x7ff]);
        for value in 0..1000 {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
            let back = fingerprint(&value) as f64 as u64;
            assert_eq!(back, fingerprint(&value));
        }
    }
}
