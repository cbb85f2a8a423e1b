//! The headers that `faulty` and `load` know each other by. Those of an answer are the demo's shop's, too.

/// Of an answer: the version that made it.
pub const VERSION: &str = "x-app-version";
/// Of an answer: the pod that made it.
pub const POD: &str = "x-app-pod";
/// Of an answer: its failure was made on purpose, by an order of the request (`ordered`) or by the pod's share
/// (`drawn`).
pub const FAULT: &str = "x-app-fault";

/// Of a request: answer with this status.
pub const ORDER_STATUS: &str = "x-fault-status";
/// Of a request: answer after this time.
pub const ORDER_DELAY: &str = "x-fault-delay";
/// Of a request: close the connection instead of answering (HTTP/2: reset the stream).
pub const ORDER_RESET: &str = "x-fault-reset";
