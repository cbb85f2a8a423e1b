//! The draw: keys and random numbers become buckets, and a bucket below the weight is canary's.
//!
//! A key keeps its bucket as long as the salt stays, so while the weight only grows nobody moves back.

use siphasher::sip::SipHasher13;

use crate::{KeyHash, Track, Weight};

/// Randomness for one decision; the shell supplies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dice {
    /// A fresh uniform draw, for a request without a key. All 64 bits must be good.
    pub draw: u64,
    /// The affinity id to mint, should one be needed. Fresh as well.
    pub id: u128,
}

/// One of 10 000 equal parts of all keys or draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bucket(u64);

impl Bucket {
    /// The bucket of 64 uniform bits. The remainder favours low buckets by one part in 10^15, which nobody can
    /// measure, and it is one rule for hashes and draws, in any language.
    pub(crate) fn of(bits: u64) -> Self {
        Self(bits % 10_000)
    }

    /// Who serves this bucket.
    pub(crate) fn track(self, weight: Weight) -> Track {
        if self.0 < u64::from(weight.basis_points()) { Track::Canary } else { Track::Primary }
    }
}

/// The keyed hash of one run: SipHash-1-3, so that a client who does not know the salt cannot choose its bucket.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Salt(SipHasher13);

impl Salt {
    /// A salt from 32 hexadecimal digits, as the table writes it.
    pub(crate) fn from_hexadecimal(digits: &str) -> Option<Self> {
        if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let key = u128::from_str_radix(digits, 16).ok()?.to_be_bytes();
        Some(Self(SipHasher13::new_with_key(&key)))
    }

    /// The hash of a key.
    pub(crate) fn hash(&self, key: &[u8]) -> KeyHash {
        KeyHash(self.0.hash(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_canary_iff_it_is_below_the_weight() {
        let weight = Weight::from_basis_points(2500).unwrap();
        assert_eq!(Bucket::of(2499).track(weight), Track::Canary);
        assert_eq!(Bucket::of(2500).track(weight), Track::Primary);
        assert_eq!(Bucket::of(12_499).track(weight), Track::Canary);
        assert_eq!(Bucket::of(0).track(Weight::ZERO), Track::Primary);
        assert_eq!(Bucket::of(9999).track(Weight::FULL), Track::Canary);
    }

    #[test]
    fn a_salt_is_32_hexadecimal_digits() {
        assert!(Salt::from_hexadecimal("000102030405060708090a0b0c0d0e0F").is_some());
        for bad in ["", "00", "+00102030405060708090a0b0c0d0e0f", &"0".repeat(33), &"g".repeat(32)]
        {
            assert!(Salt::from_hexadecimal(bad).is_none(), "{bad:?}");
        }
    }
}
