//! Test parts for pods, and for tests on loopback: `faulty`, an app whose faults are ordered, `load`, a generator of
//! bounded load that counts what became of it, and `receiver`, which keeps the filters' reports. None is part of the
//! product.
//!
//! They know each other by a few headers ([`headers`]): an answer says which version and pod made it, and whether its
//! failure was made on purpose, so that a client tells an app's failures from those of the proxies between.

pub mod faulty;
pub mod headers;
pub mod load;
pub mod quantity;
pub mod receiver;
pub mod server;
pub mod signals;

/// Says something beside the data, on the standard error. Nobody may be there to read it.
pub fn aside(text: impl std::fmt::Display) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{text}");
}
