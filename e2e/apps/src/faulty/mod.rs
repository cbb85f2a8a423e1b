//! `faulty`: a small app whose faults are ordered: for one request by the request, for all by the command line, the
//! environment or `POST /faults`.

mod app;
mod args;
mod faults;
mod order;
mod program;

pub use args::{Args, OnTerm};
pub use program::run;
