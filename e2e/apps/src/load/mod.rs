//! `load`: a bounded load that does not wait for answers, counted. No request is sent twice.

mod options;
mod outcome;
mod program;
mod run;
mod service;
mod tally;
mod users;

pub use options::{Options, Plan};
pub use outcome::{Failures, Latency, Outcome, Span};
pub use program::{Cli, run_cli};
pub use run::{Progress, run};
