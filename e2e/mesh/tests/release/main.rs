//! Releases by the controller on a real cluster, each under a load that is counted: no request may fail that the app
//! did not fail. Each test has a namespace of its own and runs beside others.

mod ab;
mod adoption;
mod affinity;
mod again;
mod deletion;
mod gates;
mod gateway;
mod held;
mod killed;
mod promotion;
mod readiness;
mod recipe;
mod rollback;
mod skip;
mod unstartable;
