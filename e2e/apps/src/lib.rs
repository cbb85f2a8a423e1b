//! Test parts for pods, and for tests on loopback: `faulty`, an app whose faults are ordered, and `load`, a generator
//! of bounded load that counts what became of it. Neither is part of the product.
//!
//! They know each other by a few headers ([`headers`]): an answer says which version and pod made it, and whether its
//! failure was made on purpose, so that a client tells an app's failures from those of the proxies between.

pub mod faulty;
pub mod headers;
pub mod load;
pub mod quantity;
pub mod server;
pub mod signals;

/// Says something beside the data, on the standard error. Nobody may be there to read it.
pub fn aside(text: impl std::fmt::Display) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{text}");
}
