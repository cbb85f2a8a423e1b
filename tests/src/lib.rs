//! What the tests of this crate share: worlds in memory in which the parts of the left side, and the module, run.

pub mod host;
pub mod world;
