//! What the router may ask of a request: one question, answered in bytes, for a header may hold any.

use std::borrow::Cow;

/// A request, as far as a decision looks at it.
pub trait Request {
    /// The first value of a header by its lower-case name; pseudo-headers (`:path`, `:method`, `:authority`,
    /// `:scheme`) are headers too. Any bytes.
    ///
    /// First means first: HTTP/2 and HTTP/3 split cookies, and Envoy joins those again, but an HTTP/1.1 client that
    /// sends two `cookie` headers (RFC 6265, section 5.4, forbids it) is known by the first alone. An affinity
    /// cookie in the second is not seen, and a new one minted.
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>>;
}

/// How a request came: whether a cookie set by its answer may be marked `Secure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear, or nobody knows.
    Http,
    /// Encrypted.
    Https,
}

impl Scheme {
    /// The scheme that the client used, by `x-forwarded-proto`: Envoy sets it, and a gateway that ends TLS hands it
    /// on. Only the first of a list counts; it is the client's.
    pub fn of(request: &impl Request) -> Self {
        let Some(value) = request.header("x-forwarded-proto") else { return Self::Http };
        let first = value.split(|byte| *byte == b',').next().unwrap_or_default();
        if first.trim_ascii().eq_ignore_ascii_case(b"https") { Self::Https } else { Self::Http }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Forwarded(Option<&'static str>);

    impl Request for Forwarded {
        fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
            (name == "x-forwarded-proto").then_some(self.0?).map(|it| it.as_bytes().into())
        }
    }

    #[test]
    fn https_is_what_the_client_used() {
        for (value, scheme) in [
            (None, Scheme::Http),
            (Some(""), Scheme::Http),
            (Some("http"), Scheme::Http),
            (Some("https"), Scheme::Https),
            (Some("HTTPS, http"), Scheme::Https),
            (Some("http,https"), Scheme::Http),
        ] {
            assert_eq!(Scheme::of(&Forwarded(value)), scheme, "{value:?}");
        }
    }
}
