//! Releases by the controller on a real cluster, each under a load that is counted: no request may fail that the app
//! did not fail. Each test has a namespace of its own and runs beside others.

mod promotion;
mod rollback;
