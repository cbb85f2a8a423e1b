//! The affinity cookie: its id, and the `Set-Cookie` that hands it to a browser.
//!
//! The id is random and nothing else: it says neither which track it leads to nor who holds it.

use std::fmt;

use crate::{Affinity, SameSite, Scheme, Secure};

/// What the affinity cookie holds: 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AffinityId(pub u128);

impl AffinityId {
    /// Whether a cookie's value has the form of an id. Anything else was not set by us, and is replaced.
    pub(crate) fn is_well_formed(value: &[u8]) -> bool {
        value.len() == 32 && value.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    }

    /// The digits, without allocation.
    pub(crate) fn digits(self) -> [u8; 32] {
        let mut digits = [0; 32];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0.to_be_bytes()) {
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 0xf)]);
        }
        digits
    }
}

fn digit(nibble: u8) -> u8 {
    let first = if nibble < 10 { b'0' } else { b'a'.saturating_sub(10) };
    first.saturating_add(nibble)
}

impl fmt::Display for AffinityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The value of the `set-cookie` header that hands an id to the client.
pub fn set_cookie(affinity: &Affinity, id: AffinityId, scheme: Scheme) -> String {
    let secure = match affinity.secure {
        Secure::WhenHttps => scheme == Scheme::Https,
        Secure::Always => true,
        Secure::Never => false,
    };
    let same_site = match affinity.same_site {
        SameSite::Strict => "Strict",
        SameSite::Lax => "Lax",
        SameSite::None => "None",
    };
    let Affinity { cookie, max_age_s, path, domain, .. } = affinity;
    let mut value = format!("{cookie}={id}; Max-Age={max_age_s}; Path={path}");
    if let Some(domain) = domain {
        value.push_str("; Domain=");
        value.push_str(domain);
    }
    for (attribute, set) in [("; HttpOnly", affinity.http_only), ("; Secure", secure)] {
        value.push_str(if set { attribute } else { "" });
    }
    value.push_str("; SameSite=");
    value.push_str(same_site);
    value.push_str(if affinity.partitioned { "; Partitioned" } else { "" });
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn affinity() -> Affinity {
        Affinity {
            cookie: "shop".into(),
            max_age_s: 86_400,
            domain: None,
            path: "/".into(),
            http_only: true,
            secure: Secure::WhenHttps,
            same_site: SameSite::Lax,
            partitioned: false,
        }
    }

    #[test]
    fn digits_are_what_display_prints_and_well_formed() {
        for id in [0, 1, 0xdead_beef, u128::MAX, 0x0123_4567_89ab_cdef << 64] {
            let id = AffinityId(id);
            assert_eq!(id.digits(), id.to_string().as_bytes());
            assert!(AffinityId::is_well_formed(&id.digits()));
        }
        for bad in ["", "canary", &"0".repeat(31), &"0".repeat(33), &"A".repeat(32)] {
            assert!(!AffinityId::is_well_formed(bad.as_bytes()), "{bad:?}");
        }
    }

    #[test]
    fn the_cookie_carries_every_attribute() {
        assert_eq!(
            set_cookie(&affinity(), AffinityId(10), Scheme::Http),
            "shop=0000000000000000000000000000000a; Max-Age=86400; Path=/; HttpOnly; SameSite=Lax"
        );
        let all = Affinity {
            domain: Some("example.com".into()),
            path: "/shop".into(),
            same_site: SameSite::None,
            partitioned: true,
            ..affinity()
        };
        assert_eq!(
            set_cookie(&all, AffinityId(u128::MAX), Scheme::Https),
            "shop=ffffffffffffffffffffffffffffffff; Max-Age=86400; Path=/shop; Domain=example.com; \
             HttpOnly; Secure; SameSite=None; Partitioned"
        );
    }

    #[test]
    fn secure_follows_the_rule_and_the_scheme() {
        for (secure, scheme, marked) in [
            (Secure::WhenHttps, Scheme::Http, false),
            (Secure::WhenHttps, Scheme::Https, true),
            (Secure::Always, Scheme::Http, true),
            (Secure::Never, Scheme::Https, false),
        ] {
            let affinity = Affinity { secure, ..affinity() };
            let value = set_cookie(&affinity, AffinityId(0), scheme);
            assert_eq!(value.contains("; Secure"), marked, "{secure:?} {scheme:?}");
        }
    }
}
